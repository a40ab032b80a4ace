use evercore::event;

#[derive(serde::Serialize, serde::Deserialize)]
#[event]
struct Moved {}

fn main() {}
