//! Questions to the DNS, with limits to how long they take and to what is taken of the answers.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use hickory_resolver::{
    TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};

/// A server that does not answer in so long is asked once more.
const PATIENCE: Duration = Duration::from_secs(5);

/// So many records of a name are looked at.
const MOST_RECORDS: usize = 64;

/// So many octets of a text are looked at.
const MOST_OCTETS: usize = 8192;

/// Who is asked.
pub struct Names {
    resolver: TokioResolver,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Nothing {
    /// There is no such name.
    NoName,
    /// The name is there, and nothing of this kind.
    NoRecord,
    /// Nobody knows.
    Unanswered(String),
}

impl Nothing {
    /// What is there, or nothing, unless nobody knows.
    pub(super) fn or_none<T: Default>(answer: Result<T, Self>) -> Result<T, String> {
        match answer {
            Ok(found) => Ok(found),
            Err(Self::NoName | Self::NoRecord) => Ok(T::default()),
            Err(Self::Unanswered(why)) => Err(why),
        }
    }
}

impl Names {
    /// Asks one server, or those that this machine asks. Must be called where a runtime of tokio is.
    pub fn new(server: Option<SocketAddr>) -> Result<Self, String> {
        let builder = match server {
            None => TokioResolver::builder_tokio(),
            Some(server) => {
                let at = |mut connection: ConnectionConfig| {
                    connection.port = server.port();
                    connection
                };
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(at).to_vec();
                let server = NameServerConfig::new(server.ip(), true, connections);
                let config = ResolverConfig::from_name_servers(vec![server]);
                Ok(TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()))
            }
        };
        let mut builder = builder.map_err(|why| format!("who is to be asked is not known: {why}"))?;
        let options = builder.options_mut();
        options.timeout = PATIENCE;
        options.attempts = 1;
        options.use_hosts_file = ResolveHosts::Never;
        options.edns0 = true;
        options.try_tcp_on_error = true;
        Ok(Self { resolver: builder.build().map_err(|why| why.to_string())? })
    }

    async fn ask<T>(
        &self,
        name: &str,
        kind: RecordType,
        take: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, Nothing> {
        let mut name = Name::from_utf8(name).map_err(|_| Nothing::NoName)?;
        // As it stands, whatever this machine would add.
        name.set_fqdn(true);
        match self.resolver.lookup(name, kind).await {
            Ok(found) => {
                let all: Vec<T> =
                    found.answers().iter().filter_map(|record| take(&record.data)).take(MOST_RECORDS).collect();
                if all.is_empty() { Err(Nothing::NoRecord) } else { Ok(all) }
            }
            Err(NetError::Dns(DnsError::NoRecordsFound(nothing))) => Err(match nothing.response_code {
                ResponseCode::NXDomain => Nothing::NoName,
                ResponseCode::NoError => Nothing::NoRecord,
                code => Nothing::Unanswered(code.to_string()),
            }),
            Err(NetError::Dns(DnsError::ResponseCode(code))) => {
                Err(Nothing::Unanswered(format!("the DNS server answers {code}")))
            }
            Err(NetError::Timeout) => Err(Nothing::Unanswered("no DNS server answers".into())),
            Err(why) => Err(Nothing::Unanswered(why.to_string())),
        }
    }

    /// TXT records, the strings of each put together (RFC 7208 §3.3, RFC 6376 §3.6.2.2).
    pub(super) async fn texts(&self, name: &str) -> Result<Vec<String>, Nothing> {
        self.ask(name, RecordType::TXT, |data| match data {
            RData::TXT(text) => {
                let mut octets = text.txt_data.concat();
                octets.truncate(MOST_OCTETS);
                Some(String::from_utf8_lossy(&octets).into_owned())
            }
            _ => None,
        })
        .await
    }

    /// The addresses of both kinds; nothing only if there is neither.
    pub(super) async fn addresses(&self, name: &str) -> Result<Vec<IpAddr>, Nothing> {
        let v4 = self.ask(name, RecordType::A, |data| match data {
            RData::A(address) => Some(IpAddr::V4(address.0)),
            _ => None,
        });
        let v6 = self.ask(name, RecordType::AAAA, |data| match data {
            RData::AAAA(address) => Some(IpAddr::V6(address.0)),
            _ => None,
        });
        match tokio::join!(v4, v6) {
            (Ok(mut all), Ok(further)) => {
                all.extend(further);
                Ok(all)
            }
            (Ok(all), Err(_)) | (Err(_), Ok(all)) => Ok(all),
            (Err(Nothing::NoRecord), Err(why)) | (Err(why), Err(_)) => Err(why),
        }
    }

    /// What a name is an alias of.
    pub(super) async fn alias(&self, name: &str) -> Result<String, Nothing> {
        let all = self
            .ask(name, RecordType::CNAME, |data| match data {
                RData::CNAME(target) => Some(target.0.to_utf8()),
                _ => None,
            })
            .await?;
        all.into_iter().next().map(|target| target.trim_end_matches('.').to_owned()).ok_or(Nothing::NoRecord)
    }

    /// The servers that take a domain's mail, the first one first; the root where it takes none (RFC 7505).
    pub(super) async fn exchangers(&self, name: &str) -> Result<Vec<String>, Nothing> {
        let mut all = self
            .ask(name, RecordType::MX, |data| match data {
                RData::MX(exchanger) => Some((exchanger.preference, exchanger.exchange.to_utf8())),
                _ => None,
            })
            .await?;
        all.sort();
        Ok(all
            .into_iter()
            .map(|(_, name)| if name == "." { name } else { name.trim_end_matches('.').to_owned() })
            .collect())
    }
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}
