//! Whom a client must not reach when somebody else, such as a model, names the address: this machine,
//! its network, and what only its network can reach, such as a cloud's metadata. Only addresses of the
//! public Internet pass.
//!
//! A name is looked up once, all its addresses are judged, and the connection goes to one of those very
//! addresses: a second look-up, which might answer otherwise, does not happen. One bad address among
//! good ones refuses the name. An address in place of a name is judged before anything is sent; the URL's
//! parser has read every spelling of it (octal, hex, one number) as the client will.
//!
//! An address of the public Internet may still be this machine's own, with services behind it that trust
//! whoever is at home. So the kernel is asked each time: interfaces come and go. An address that only
//! the provider's router maps to this machine is unknown to the kernel, and passes.

use std::{
    fmt,
    io::{self, ErrorKind},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use reqwest::{
    Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use rustix::io::Errno;

/// Looks a name up.
pub(crate) trait Lookup: Send + Sync + 'static {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>>;
}

/// As this machine does.
struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// The guard. Clones are the same one.
#[derive(Clone)]
pub(crate) struct Guard {
    lookup: Arc<dyn Lookup>,
    judge: Judge,
}

/// Whether an address may be reached; why it may not.
type Judge = fn(IpAddr) -> Result<(), &'static str>;

impl Guard {
    /// Nothing but the public Internet.
    pub(crate) fn new() -> Self {
        Self { lookup: Arc::new(System), judge: |address| judge(address, is_own) }
    }

    /// Everybody, for an address that whoever set this up has named.
    pub(crate) fn open() -> Self {
        Self { lookup: Arc::new(System), judge: |_address| Ok(()) }
    }

    /// With another look-up, and this machine's own network open: tests have their servers there.
    #[cfg(test)]
    pub(crate) fn for_tests(lookup: impl Lookup, is_home_open: bool) -> Self {
        fn at_home(address: IpAddr) -> Result<(), &'static str> {
            if address == IpAddr::V4(Ipv4Addr::LOCALHOST) { Ok(()) } else { judge(address, is_own) }
        }
        let judge: Judge = if is_home_open { at_home } else { |address| judge(address, is_own) };
        Self { lookup: Arc::new(lookup), judge }
    }

    /// Judges a host that is an address.
    pub(super) fn literal(&self, url: &Url) -> Result<(), String> {
        let host = url.host_str().ok_or("it has no host")?;
        match host.trim_matches(['[', ']']).parse() {
            Ok(address) => (self.judge)(address).map_err(|why| forbidden(address, why)),
            Err(_a_name) => Ok(()),
        }
    }

    async fn resolved(self, name: String) -> Result<Vec<IpAddr>, String> {
        let found = self.lookup.lookup(name.clone()).await.map_err(|error| error.to_string())?;
        if found.is_empty() {
            return Err(format!("{name} has no address"));
        }
        for address in &found {
            let judged = (self.judge)(*address);
            judged.map_err(|why| format!("{name} is at {}", forbidden(*address, why)))?;
        }
        Ok(found)
    }
}

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let resolved = self.clone().resolved(name.as_str().to_owned());
        Box::pin(async move {
            let found = resolved.await?;
            // The port is the URL's.
            let addresses = found.into_iter().map(|address| SocketAddr::new(address, 0));
            let addresses: Addrs = Box::new(addresses);
            Ok(addresses)
        })
    }
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

fn forbidden(address: IpAddr, why: &str) -> String {
    format!("{address}, {why}; only addresses of the public Internet are reached")
}

/// Whether an address is one of the public Internet and not this machine's; why it is not.
fn judge(address: IpAddr, is_own: fn(IpAddr) -> io::Result<bool>) -> Result<(), &'static str> {
    let address = inside(address);
    match address {
        IpAddr::V4(address) => judge_v4(address),
        IpAddr::V6(address) => judge_v6(address),
    }?;
    match is_own(address) {
        Ok(false) => Ok(()),
        Ok(true) => Err("which is this machine"),
        Err(_unknown) => Err("of which it cannot be told whether it is this machine"),
    }
}

/// The address that is reached where one stands inside another.
fn inside(address: IpAddr) -> IpAddr {
    let IpAddr::V6(outer) = address else { return address };
    if let Some(mapped) = outer.to_ipv4_mapped() {
        return mapped.into();
    }
    match outer.segments() {
        // A network without IPv4 reaches it through these.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => {
            let ([one, two], [three, four]) = (high.to_be_bytes(), low.to_be_bytes());
            Ipv4Addr::new(one, two, three, four).into()
        }
        _ => address,
    }
}

/// Whether an address is this machine's: nobody can be at home at another. Where the kernel was told to
/// let everybody be at home anywhere, as beside a load balancer, one is its own that it would answer
/// from. Nothing is sent.
fn is_own(address: IpAddr) -> io::Result<bool> {
    /// An example's, which is nobody's.
    const NOBODYS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    if !can_be_at(address)? {
        return Ok(false);
    }
    if !can_be_at(NOBODYS)? {
        return Ok(true);
    }
    let from: IpAddr = match address {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((from, 0))?;
    // Where no way leads there nobody is reached.
    Ok(socket.connect((address, 9)).is_ok() && socket.local_addr()?.ip() == address)
}

fn can_be_at(address: IpAddr) -> io::Result<bool> {
    match UdpSocket::bind((address, 0)) {
        Ok(_socket) => Ok(true),
        Err(error) => match (error.kind(), error.raw_os_error()) {
            (ErrorKind::AddrNotAvailable, _) => Ok(false),
            // A machine without the protocol has no address of it.
            (_, Some(code)) if code == Errno::AFNOSUPPORT.raw_os_error() => Ok(false),
            _ => Err(error),
        },
    }
}

fn judge_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    match address.octets() {
        [0, ..] => Err("which means this network"),
        [127, ..] => Err("which is this machine"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Err("which is private"),
        [100, 64..=127, ..] => Err("which is shared by a provider's customers"),
        [169, 254, ..] => Err("which is link-local, where clouds keep their metadata"),
        // Azure's host, at an address that looks public.
        [168, 63, 129, 16] => Err("which is a cloud's own host"),
        [192, 0, 0, _] | [192, 88, 99, _] => Err("which is reserved for protocols"),
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Err("which is for examples"),
        [198, 18..=19, ..] => Err("which is for measurements"),
        [224..=239, ..] => Err("which is multicast"),
        [240..=255, ..] => Err("which is reserved"),
        _ => Ok(()),
    }
}

fn judge_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    let [a, b, ..] = address.segments();
    match (a, b) {
        _ if address.is_loopback() => Err("which is this machine"),
        (0xfe80..=0xfebf, _) => Err("which is link-local"),
        (0xfc00..=0xfdff, _) => Err("which is private"),
        (0xff00.., _) => Err("which is multicast"),
        (0x2002, _) | (0x2001, 0) => Err("which hides another address"),
        (0x2001, 0x0db8) | (0x3fff, 0..=0x0fff) => Err("which is for examples"),
        (0x2001, 0..=0x01ff) => Err("which is reserved for protocols"),
        (0x2000..=0x3fff, _) => Ok(()),
        _ => Err("which is reserved"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_public_internet_pass() {
        let table = [
            ("1.1.1.1", true),
            ("8.8.8.8", true),
            ("172.15.0.1", true),
            ("172.32.0.1", true),
            ("100.63.0.1", true),
            ("2606:4700::1111", true),
            ("64:ff9b::808:808", true),
            ("0.0.0.0", false),
            ("0.1.2.3", false),
            ("10.0.0.1", false),
            ("100.64.0.1", false),
            ("100.100.100.200", false),
            ("127.0.0.1", false),
            ("127.255.255.254", false),
            ("168.63.129.16", false),
            ("169.254.169.254", false),
            ("172.16.0.1", false),
            ("172.31.255.255", false),
            ("192.0.0.192", false),
            ("192.0.2.1", false),
            ("192.88.99.1", false),
            ("192.168.1.1", false),
            ("198.18.0.1", false),
            ("198.51.100.1", false),
            ("203.0.113.1", false),
            ("224.0.0.1", false),
            ("255.255.255.255", false),
            ("::", false),
            ("::1", false),
            ("::7f00:1", false),
            ("::ffff:127.0.0.1", false),
            ("::ffff:169.254.169.254", false),
            ("::ffff:8.8.8.8", true),
            ("64:ff9b::7f00:1", false),
            ("64:ff9b::a9fe:a9fe", false),
            ("64:ff9b:1::1", false),
            ("2002:7f00:1::", false),
            ("2002:a9fe:a9fe::", false),
            ("2001::1", false),
            ("2001:db8::1", false),
            ("fd00:ec2::254", false),
            ("fe80::1", false),
            ("fec0::1", false),
            ("ff02::1", false),
        ];
        for (address, passes) in table {
            let judged = judge(address.parse().unwrap(), |_address| Ok(false));
            assert_eq!(judged.is_ok(), passes, "{address}");
        }
    }

    #[test]
    fn an_address_of_this_machine_is_refused_although_it_is_public() {
        let eight: fn(IpAddr) -> io::Result<bool> = |address| Ok(address.to_string() == "8.8.8.8");
        for own in ["8.8.8.8", "::ffff:8.8.8.8", "64:ff9b::808:808"] {
            assert_eq!(judge(own.parse().unwrap(), eight), Err("which is this machine"), "{own}");
        }
        assert_eq!(judge("1.1.1.1".parse().unwrap(), eight), Ok(()));
        let unknown = judge("1.1.1.1".parse().unwrap(), |_address| Err(ErrorKind::Other.into()));
        assert!(unknown.is_err_and(|why| why.contains("cannot be told")));
        // And the kernel knows which are its own.
        for (address, own) in [("127.0.0.1", true), ("127.4.5.6", true), ("1.1.1.1", false)] {
            assert_eq!(is_own(address.parse().unwrap()).unwrap(), own, "{address}");
        }
        assert!(!is_own("2606:4700::1111".parse().unwrap()).unwrap());
    }

    #[test]
    fn every_spelling_of_an_address_is_judged_as_the_client_reads_it() {
        let guard = Guard::new();
        for host in [
            "127.0.0.1",
            "127.0.0.1.",
            "127.1",
            "127.0.1",
            "2130706433",
            "0x7f000001",
            "0177.0.0.1",
            "0x7f.1",
            "0",
            "[::1]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "169.254.169.254",
            "0xa9fea9fe",
            "①②⑦.0.0.1",
            "%31%32%37.0.0.1",
        ] {
            let url: Url = format!("http://{host}/").parse().unwrap();
            assert!(guard.literal(&url).is_err(), "{host} is {url}");
        }
        for host in ["1.1.1.1", "example.com", "[2606:4700::1111]"] {
            let url: Url = format!("http://{host}/").parse().unwrap();
            assert!(guard.literal(&url).is_ok(), "{host}");
        }
    }
}
