//! Known traffic between two namespaces.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use super::place::Place;

/// A limit that no exchange reaches, even with losses and under emulation.
const PATIENCE: Duration = Duration::from_mins(1);

/// A connection from `client` to `server` that carries `up` bytes and then `down` bytes in return.
pub(in super::super) fn tcp(client: &Place, server: &Place, address: IpAddr, up: usize, down: usize) {
    let listener = server.run(move || TcpListener::bind((address, 0)).unwrap());
    let to = listener.local_addr().unwrap();
    let echo = server.start(move || {
        let (mut stream, _) = listener.accept().unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        assert_eq!(read_to_end(&mut stream), up, "what the server received");
        stream.write_all(&vec![b'd'; down]).unwrap();
    });
    client.run(move || {
        let mut stream = TcpStream::connect_timeout(&to, PATIENCE).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&vec![b'u'; up]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_to_end(&mut stream), down, "what the client received");
    });
    echo.finish();
}

/// `count` datagrams of `size` bytes from `client` to `server`, each answered by one of the same size.
pub(in super::super) fn udp(client: &Place, server: &Place, address: IpAddr, size: usize, count: usize) {
    let socket = server.run(move || UdpSocket::bind((any(address), 0)).unwrap());
    let to = SocketAddr::new(address, socket.local_addr().unwrap().port());
    let echo = server.start(move || {
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = vec![0; 65_536];
        for _ in 0..count {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            socket.send_to(&buffer[..length], from).unwrap();
        }
    });
    client.run(move || {
        let socket = UdpSocket::bind((any(address), 0)).unwrap();
        socket.connect(to).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut buffer = vec![0; 65_536];
        for _ in 0..count {
            assert_eq!(socket.send(&vec![b'u'; size]).unwrap(), size);
            assert_eq!(socket.recv(&mut buffer).unwrap(), size);
        }
    });
    echo.finish();
}

fn any(address: IpAddr) -> IpAddr {
    if address.is_ipv4() { [0, 0, 0, 0].into() } else { [0_u16; 8].into() }
}

fn read_to_end(stream: &mut TcpStream) -> usize {
    let mut buffer = vec![0; 65_536];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return total,
            length => total += length,
        }
    }
}
