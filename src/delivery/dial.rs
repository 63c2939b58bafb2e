//! The TCP connection to a server: whichever of its addresses answers first, or through a proxy.

use std::{
    collections::VecDeque,
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    task::JoinSet,
};

use super::connect::within;
use crate::campaign::{Account, Scheme, Tls};

/// The next address is tried so long after the one before, unless that has failed already (RFC 8305 §5).
const HEAD_START: Duration = Duration::from_millis(250);

/// A proxy says no more than so many octets before the connection is there.
const MOST_HEADER: usize = 16 * 1024;

/// A connection to the account's server; why there is none.
pub(super) async fn dial(account: &Account, deadline: Duration) -> Result<TcpStream, String> {
    let stream = match &account.proxy {
        None => to(&account.host, account.port, account, deadline).await?,
        Some(proxy) => {
            let mut stream = to(&proxy.host, proxy.port, account, deadline)
                .await
                .map_err(|why| format!("the proxy is not there: {why}"))?;
            let asked = async {
                match proxy.scheme {
                    Scheme::Socks5 => socks5(&mut stream, account).await,
                    Scheme::Http => http(&mut stream, account).await,
                }
            };
            within(deadline, asked).await.map_err(|late| format!("the proxy does not answer for {late}"))??;
            stream
        }
    };
    // Otherwise each command waits for the acknowledgement of the one before, up to 44 ms.
    stream.set_nodelay(true).map_err(|why| why.to_string())?;
    Ok(stream)
}

async fn to(host: &str, port: u16, account: &Account, deadline: Duration) -> Result<TcpStream, String> {
    let found = find(host, port, deadline).await?;
    let mut why = "the name has no address".to_owned();
    let mut usable = Vec::new();
    for address in found {
        if account.tls == Tls::None && !address.ip().is_loopback() {
            why = format!("tls = \"none\" is for loopback addresses alone, and this is {}", address.ip());
        } else if account.source.is_some_and(|source| source.is_ipv4() != address.is_ipv4()) {
            why = format!("from the address in source there is no way to {}", address.ip());
        } else {
            usable.push(address);
        }
    }
    race(in_turn(usable), account.source, deadline).await.map_err(|failed| failed.unwrap_or(why))
}

/// The addresses behind a name, or why there are none.
pub(super) async fn find(host: &str, port: u16, deadline: Duration) -> Result<Vec<SocketAddr>, String> {
    let host = host.trim_matches(['[', ']']);
    match within(deadline, tokio::net::lookup_host((host, port))).await {
        Ok(Ok(found)) => Ok(found.collect()),
        Ok(Err(error)) => Err(format!("the name cannot be resolved ({error})")),
        Err(late) => Err(format!("the name is not resolved after {late}")),
    }
}

/// How long it takes until one address answers; the connection is closed at once.
pub(super) async fn knock(address: SocketAddr, source: Option<IpAddr>, deadline: Duration) -> Result<Duration, String> {
    let start = Instant::now();
    match within(deadline, from(source, address)).await {
        Ok(Ok(_)) => Ok(start.elapsed()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(late) => Err(format!("no answer after {late}")),
    }
}

/// The first kind of address first, and then one of each kind in turn (RFC 8305 §4).
fn in_turn(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let is_first_v6 = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(|address| address.is_ipv6() == is_first_v6);
    let mut all = VecDeque::with_capacity(first.len() + second.len());
    let mut second = second.into_iter();
    for address in first {
        all.push_back(address);
        all.extend(second.next());
    }
    all.extend(second);
    all
}

/// The first connection that is there; those that come later are closed. Without one, what went wrong last, if anything was tried.
async fn race(
    mut addresses: VecDeque<SocketAddr>,
    source: Option<IpAddr>,
    deadline: Duration,
) -> Result<TcpStream, Option<String>> {
    let mut tries = JoinSet::new();
    let mut why = None;
    loop {
        if let Some(address) = addresses.pop_front() {
            tries.spawn(async move {
                match within(deadline, from(source, address)).await {
                    Ok(Ok(stream)) => Ok(stream),
                    Ok(Err(error)) => Err(format!("{error} ({address})")),
                    Err(late) => Err(format!("no answer from {address} after {late}")),
                }
            });
        }
        let pause = if addresses.is_empty() { deadline.saturating_mul(2) } else { HEAD_START };
        match tokio::time::timeout(pause, tries.join_next()).await {
            Ok(Some(Ok(Ok(stream)))) => return Ok(stream),
            Ok(Some(Ok(Err(failed)))) => why = Some(failed),
            Ok(None) if addresses.is_empty() => return Err(why),
            Ok(_) | Err(_) => {}
        }
    }
}

async fn from(source: Option<IpAddr>, address: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(source) = source {
        socket.bind((source, 0).into())?;
    }
    socket.connect(address).await
}

/// RFC 1928, without authentication; the proxy resolves the name.
async fn socks5(stream: &mut TcpStream, account: &Account) -> Result<(), String> {
    let lost = |why: std::io::Error| format!("the proxy hung up: {why}");
    stream.write_all(&[5, 1, 0]).await.map_err(lost)?;
    let mut chosen = [0; 2];
    stream.read_exact(&mut chosen).await.map_err(lost)?;
    if chosen != [5, 0] {
        return Err("the proxy speaks no SOCKS 5, or wants a password".into());
    }
    let host = account.host.trim_matches(['[', ']']);
    let length = u8::try_from(host.len()).map_err(|_| "the host's name is too long for a proxy")?;
    let mut request = vec![5, 1, 0, 3, length];
    request.extend_from_slice(host.as_bytes());
    request.extend_from_slice(&account.port.to_be_bytes());
    stream.write_all(&request).await.map_err(lost)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await.map_err(lost)?;
    if answer[..2] != [5, 0] {
        return Err(format!("the proxy does not reach the server (SOCKS reply {})", answer[1]));
    }
    let rest = match answer[3] {
        1 => 4,
        4 => 16,
        3 => usize::from(stream.read_u8().await.map_err(lost)?),
        _ => return Err("the proxy's answer is not understood".into()),
    };
    let mut bound = vec![0; rest + 2];
    stream.read_exact(&mut bound).await.map_err(lost)?;
    Ok(())
}

/// RFC 9110 §9.3.6
async fn http(stream: &mut TcpStream, account: &Account) -> Result<(), String> {
    let lost = |why: std::io::Error| format!("the proxy hung up: {why}");
    let server = format!("{}:{}", account.host, account.port);
    let request = format!("CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.map_err(lost)?;
    // One octet at a time: what follows is the server's.
    let mut header = Vec::new();
    while !header.ends_with(b"\r\n\r\n") {
        if header.len() > MOST_HEADER {
            return Err("the proxy's answer is endless".into());
        }
        header.push(stream.read_u8().await.map_err(lost)?);
    }
    let header = String::from_utf8_lossy(&header);
    let status = header.lines().next().unwrap_or_default();
    match status.split(' ').nth(1) {
        Some(code) if status.starts_with("HTTP/1.") && code.len() == 3 && code.starts_with('2') => Ok(()),
        _ => Err(format!("the proxy does not reach the server: {}", crate::diagnostic::visible(status))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_both_kinds_take_turns() {
        let all = ["[::1]:1", "[::2]:1", "[::3]:1", "127.0.0.1:1", "127.0.0.2:1"].map(|one| one.parse().unwrap());
        let turns: Vec<String> = in_turn(all.to_vec()).iter().map(ToString::to_string).collect();
        assert_eq!(turns, ["[::1]:1", "127.0.0.1:1", "[::2]:1", "127.0.0.2:1", "[::3]:1"]);
    }

    #[tokio::test]
    async fn whoever_answers_first_is_taken_and_nobody_waits_for_who_does_not() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let there = listener.local_addr().unwrap();
        let gone = { tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap() };
        // Nobody has this address (RFC 5737).
        let silent = "192.0.2.1:9".parse().unwrap();
        let start = Instant::now();
        let stream = race([silent, gone, there].into(), None, Duration::from_secs(20)).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), there);
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        let why = race([gone].into(), None, Duration::from_secs(5)).await.unwrap_err().unwrap();
        assert!(why.contains(&gone.to_string()), "{why}");
        assert!(matches!(race(VecDeque::new(), None, Duration::from_secs(5)).await, Err(None)));
    }
}
