use evercore::registry;

registry!(Domain {});

fn main() {}
