use evercore::registry;

struct Account;

registry!(Domain { Account });

fn main() {}
