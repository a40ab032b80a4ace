//! A proxy that has look-ups answered by a standby, as proxies do that send there what only reads.

use std::{collections::HashSet, io};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// In the text of statements that are sent to the standby.
const LOOK_UP: &str = "pg_locks";

/// The part of a URL that names the server.
fn server(url: &str) -> &str {
    let server = url.rsplit_once('@').and_then(|(_, after)| after.split_once('/'));
    server.expect("a URL with a user and a database").0
}

/// Where an application connects to. Both servers have the same accounts.
pub(crate) async fn divided(primary: &str, standby: &str) -> io::Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let (primary, standby) = (primary.to_owned(), standby.to_owned());
    let address = listener.local_addr()?.to_string();
    let url = format!("{}?sslmode=disable", primary.replacen(server(&primary), &address, 1));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let servers = (server(&primary).to_owned(), server(&standby).to_owned());
            tokio::spawn(async move {
                let primary = TcpStream::connect(servers.0).await?;
                let standby = TcpStream::connect(servers.1).await?;
                divide(client, primary, standby).await
            });
        }
    });
    Ok(url)
}

/// A message: its type, and all of it.
struct Message(u8, Vec<u8>);

/// Passes on what the client says up to where it waits for an answer, and the answer. Connecting is done with both.
async fn divide(mut client: TcpStream, mut primary: TcpStream, mut standby: TcpStream) -> io::Result<()> {
    let first = startup(&mut client).await?;
    for server in [&mut primary, &mut standby] {
        server.write_all(&first).await?;
    }
    let mut names = HashSet::new();
    let (mut is_connecting, mut request) = (true, Vec::new());
    loop {
        if is_connecting {
            is_connecting = !pass_answer(&mut primary, Some(&mut client), is_connecting).await?;
            pass_answer(&mut standby, None, true).await?;
            if !is_connecting {
                continue;
            }
        }
        let Message(kind, bytes) = message(&mut client).await?;
        let is_complete = matches!(kind, b'p' | b'S' | b'Q' | b'X');
        request.push(Message(kind, bytes));
        if !is_complete {
            continue;
        }
        let request: Vec<_> = std::mem::take(&mut request);
        let is_look_up = request.iter().any(|message| looks_up(message, &mut names));
        let bytes: Vec<u8> = request.into_iter().flat_map(|Message(_, bytes)| bytes).collect();
        if is_connecting {
            primary.write_all(&bytes).await?;
            standby.write_all(&bytes).await?;
            continue;
        }
        let server = if is_look_up { &mut standby } else { &mut primary };
        server.write_all(&bytes).await?;
        pass_answer(server, Some(&mut client), false).await?;
    }
}

/// The first message has no type.
async fn startup(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = client.read_u32().await?;
    let mut bytes = length.to_be_bytes().to_vec();
    bytes.resize(length as usize, 0);
    client.read_exact(&mut bytes[4..]).await?;
    Ok(bytes)
}

async fn message(from: &mut TcpStream) -> io::Result<Message> {
    let (kind, length) = (from.read_u8().await?, from.read_u32().await?);
    let mut bytes = vec![kind];
    bytes.extend(length.to_be_bytes());
    bytes.resize(length as usize + 1, 0);
    from.read_exact(&mut bytes[5..]).await?;
    Ok(Message(kind, bytes))
}

/// Whether a statement is a look-up that is prepared by this message, or was by an earlier one.
fn looks_up(Message(kind, bytes): &Message, names: &mut HashSet<String>) -> bool {
    let texts: Vec<_> = bytes[5..].split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
    let text = |place: usize| texts.get(place).map_or("", |text| text.as_ref());
    match kind {
        // Its name, its text.
        b'P' if text(1).contains(LOOK_UP) => names.insert(text(0).to_owned()),
        // The name of a portal, that of a statement.
        b'B' => names.contains(text(1)),
        // Of which kind, its name.
        b'D' | b'C' => names.contains(text(0).trim_start_matches('S')),
        _ => false,
    }
}

/// Up to where the server waits for the client: it is ready, or, while connecting, it wants a password. Says whether it is
/// ready.
async fn pass_answer(
    server: &mut TcpStream,
    mut client: Option<&mut TcpStream>,
    is_connecting: bool,
) -> io::Result<bool> {
    loop {
        let Message(kind, bytes) = message(server).await?;
        if let Some(client) = &mut client {
            client.write_all(&bytes).await?;
        }
        let wants_password = kind == b'R' && bytes[5..9] == [0, 0, 0, 3];
        match kind {
            b'Z' => return Ok(true),
            b'R' if is_connecting && wants_password => return Ok(false),
            _ => {}
        }
    }
}
