# The compiler and what it makes: threads, channels, sockets, children, a panic.
cd /tmp
cat >h.rs <<'E'
use std::{collections::HashMap, fs, io::{Read, Write}, net::{TcpListener, TcpStream}, process::Command, sync::mpsc, thread};
fn main() {
    let (tx, rx) = mpsc::channel();
    let all: Vec<_> = (0..4).map(|i| { let tx = tx.clone(); thread::spawn(move || tx.send(i * i).unwrap()) }).collect();
    for each in all { each.join().unwrap(); }
    drop(tx);
    let mut v: Vec<i32> = rx.iter().collect();
    v.sort();
    println!("{:?} {:?}", v, HashMap::from([("a", 1)]));
    fs::write("/tmp/x", "data").unwrap();
    println!("{}", fs::read_to_string("/tmp/x").unwrap());
    println!("{:?}", Command::new("sh").args(["-c", "exit 4"]).status().unwrap().code());
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = server.local_addr().unwrap();
    let client = thread::spawn(move || TcpStream::connect(at).unwrap().write_all(b"hi").unwrap());
    let (mut socket, _) = server.accept().unwrap();
    let mut said = String::new();
    socket.read_to_string(&mut said).unwrap();
    client.join().unwrap();
    println!("{said} {}", std::panic::catch_unwind(|| panic!("p")).is_err());
    std::process::exit(6)
}
E
rustc -O h.rs && ./h 2>/dev/null; echo $?
rustc -C opt-level=0 -g h.rs -o debug && ./debug 2>/dev/null; echo $?
rustc --crate-type lib h.rs 2>&1 | head -2
