use evercore::event;

#[event(upcasts("UserCreated" with created))]
struct UserCreated {
    name: String,
}

fn created(_old: serde_json::Value) -> Result<UserCreated, String> {
    Err("no".into())
}

fn main() {}
