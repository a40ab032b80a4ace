use evercore::registry;

registry!(Domain { Account });

fn main() {}
