//! A record in a PostgreSQL database.

mod lease;
mod note;
mod server;

use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    pin::pin,
    sync::OnceLock,
    task::Poll,
};

use bytes::BytesMut;
use pollster::block_on;
use tokio::runtime::Runtime;
use tokio_postgres::{
    Client, NoTls, Statement,
    binary_copy::BinaryCopyInWriter,
    types::{IsNull, ToSql, Type, to_sql_checked},
};
use tokio_postgres_rustls::MakeRustlsConnect;

pub(in crate::outbox) use self::lease::{Fence, Lease, busy, end_lost_workers, holder};
pub use self::server::{Knocked, Server, ServerError};
use super::{
    Done, Fault, Location, Seal, StoreError, fill_states,
    value::{At, Row, Value},
};

/// Scripts that make a database of one version one of the next. Programs of the version before go on working beside those of the next
/// one, until the one behind that: so a script adds things, and takes away only what the version before does without.
const MIGRATIONS: &[&str] = &[include_str!("postgres/1.sql")];

/// Whoever changes the tables has this lock of the database's (and everybody else waits).
const MIGRATING: i64 = 0x6170_6965_0000_0001;

/// Whoever changes more than the outcomes of messages of his own has this lock, as SQLite has one for its file.
const CHANGING: i64 = 0x6170_6965_0000_0002;

/// How a session is, whatever the database's own settings are: what is committed is on the disk.
const SETTINGS: &str =
    "SET search_path = apiece; SET synchronous_commit = on; SET lock_timeout = '30s'; SET TimeZone = 'UTC';
     SET default_transaction_isolation = 'read committed'; SET client_min_messages = warning;
     SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0";

/// So many rows of a long answer are fetched together.
const FETCHED: usize = 500;

/// So many small statements travel together, if they are no more octets than that.
const TOGETHER: (usize, usize) = (1000, 4 << 20);

/// One connection to a database.
pub(in crate::outbox) struct Session {
    client: Client,
    statements: RefCell<HashMap<String, Statement>>,
    is_in_transaction: Cell<bool>,
    cursors: Cell<u64>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("is_in_transaction", &self.is_in_transaction).finish_non_exhaustive()
    }
}

/// What connections run on, whatever the threads do that wait for them.
fn runtime() -> Done<&'static Runtime> {
    static RUNTIME: OnceLock<Result<Runtime, String>> = OnceLock::new();
    let built = RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(1).thread_name("postgres").enable_all().build().map_err(|why| why.to_string())
    });
    built.as_ref().map_err(|why| Fault::Unreached(why.clone()))
}

impl Session {
    /// Connects to a database in which the tables are there.
    pub(super) fn open(server: &Server) -> Result<Self, StoreError> {
        let location = || Location::Server(server.clone());
        let failed = |why: Fault| StoreError::of(&location(), &why);
        let session = Self::connect(server).map_err(failed)?;
        let version = session.version().map_err(failed)?;
        match version {
            0 => Err(StoreError::NotMigrated(location(), 0)),
            version if session.oldest().map_err(failed)? > known_version() => {
                Err(StoreError::Newer(location(), version))
            }
            version if version < known_version() => Err(StoreError::NotMigrated(location(), version)),
            _ => Ok(session),
        }
    }

    /// Connects.
    pub(super) fn connect(server: &Server) -> Done<Self> {
        let runtime = runtime()?;
        let config = server.config();
        let client = match server.tls()? {
            None => {
                let (client, connection) = wait(runtime, async move { config.connect(NoTls).await })?;
                runtime.spawn(connection);
                client
            }
            Some(tls) => {
                let tls = MakeRustlsConnect::new(tls);
                let (client, connection) = wait(runtime, async move { config.connect(tls).await })?;
                runtime.spawn(connection);
                client
            }
        };
        let session =
            Self { client, statements: RefCell::default(), is_in_transaction: Cell::new(false), cursors: Cell::new(0) };
        session.say(SETTINGS)?;
        Ok(session)
    }

    /// The version of the tables; 0 where there are none.
    pub(super) fn version(&self) -> Done<i64> {
        let sql = "SELECT to_regclass('apiece.version') IS NOT NULL";
        let is_there = self.rows(sql, &[])?.first().is_some_and(|row| row.try_get(0).unwrap_or(false));
        if !is_there {
            return Ok(0);
        }
        let rows = self.rows("SELECT coalesce(max(number), 0) FROM apiece.version", &[])?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
    }

    /// The version of the oldest programs that may still use the tables.
    fn oldest(&self) -> Done<i64> {
        let rows = self.rows("SELECT coalesce(max(oldest), 0) FROM apiece.version", &[])?;
        Ok(rows.first().map(|row| row.try_get(0)).transpose()?.unwrap_or(0))
    }

    /// Makes the tables, or those of the next version of them; gives the versions before and after.
    pub(super) fn migrate(server: &Server) -> Result<(i64, i64), StoreError> {
        let location = || Location::Server(server.clone());
        let failed = |why: Fault| StoreError::of(&location(), &why);
        let session = Self::connect(server).map_err(failed)?;
        let migrated = || -> Done<(i64, i64)> {
            session.begin("BEGIN")?;
            session.run("SELECT pg_advisory_xact_lock(?)", &[Value::Number(MIGRATING)])?;
            session.say("CREATE SCHEMA IF NOT EXISTS apiece; CREATE TABLE IF NOT EXISTS apiece.version (number BIGINT NOT NULL, oldest BIGINT NOT NULL)")?;
            let before = session.version()?;
            for script in MIGRATIONS.iter().skip(usize::try_from(before).unwrap_or(0)) {
                session.say(script)?;
            }
            fill_states(|sql, values| session.run(sql, values))?;
            if before < known_version() {
                let values = [known_version(), known_version() - 1].map(Value::Number);
                session.run("INSERT INTO apiece.version VALUES (?, ?)", &values)?;
            }
            Ok((before, before.max(known_version())))
        };
        match migrated() {
            Ok((before, after)) if before > known_version() => {
                let _ = session.end("ROLLBACK");
                Err(StoreError::Newer(location(), after))
            }
            Ok(versions) => session.end("COMMIT").map(|()| versions).map_err(failed),
            Err(why) => {
                let _ = session.end("ROLLBACK");
                Err(failed(why))
            }
        }
    }

    /// Begins a transaction; there must be none.
    pub(super) fn begin(&self, how: &str) -> Done<()> {
        if self.is_in_transaction.get() {
            return Err(Fault::Nested);
        }
        self.say(how)?;
        self.is_in_transaction.set(true);
        Ok(())
    }

    /// Begins a transaction in which nobody else changes what is not his own.
    pub(super) fn begin_alone(&self, seal: Seal) -> Done<()> {
        if self.is_in_transaction.get() {
            return Err(Fault::Nested);
        }
        let check = match seal {
            Seal::Holds => "SELECT must_be_here()",
            Seal::Aside => "",
        };
        // Each of these sees what was committed before it began: whoever waited for the lock sees what was done meanwhile.
        let begun = self.begin(&format!("BEGIN; SELECT pg_advisory_xact_lock({CHANGING}); {check}"));
        if begun.is_err() {
            let _ = self.say("ROLLBACK");
        }
        begun
    }

    /// Whoever had a campaign and is not heard of any more has lost it, and what others write about messages at this moment is
    /// waited for.
    pub(super) fn end_runs(&self) -> Done<()> {
        // In the order in which they take them.
        self.say(
            "DELETE FROM run; DELETE FROM worker; LOCK TABLE message, attempt, slot IN SHARE ROW EXCLUSIVE MODE;
             UPDATE batch SET holder = NULL, due = 0 WHERE holder IS NOT NULL; DELETE FROM place",
        )
    }

    /// What gets a number from now on gets one behind all that are there.
    pub(super) fn number_on(&self) -> Done<()> {
        self.say(
            "SELECT setval(pg_get_serial_sequence('campaign', 'number'), (SELECT coalesce(max(number), 0) + 1 FROM campaign), false);
             SELECT setval(pg_get_serial_sequence('attempt', 'number'), (SELECT coalesce(max(number), 0) + 1 FROM attempt), false);
             SELECT setval(pg_get_serial_sequence('slot', 'number'), greatest((SELECT coalesce(max(number), 0) + 1 FROM slot),
                 (SELECT coalesce(max(slot), 0) + 1 FROM attempt)), false)",
        )
    }

    /// Ends the transaction.
    pub(super) fn end(&self, how: &str) -> Done<()> {
        self.is_in_transaction.set(false);
        self.say(how)
    }

    /// All that was changed is kept. After a fault nothing is: PostgreSQL would take COMMIT for ROLLBACK then, and say nothing.
    pub(super) fn commit(&self) -> Done<()> {
        self.end("SELECT 1; COMMIT")
    }

    /// Carries out statements without values.
    pub(super) fn say(&self, sql: &str) -> Done<()> {
        Ok(block_on(self.client.batch_execute(sql))?)
    }

    fn statement(&self, sql: &str) -> Done<Statement> {
        if let Some(known) = self.statements.borrow().get(sql) {
            return Ok(known.clone());
        }
        let statement = block_on(self.client.prepare(&numbered(sql)))?;
        self.statements.borrow_mut().insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }

    pub(super) fn run(&self, sql: &str, values: &[Value<'_>]) -> Done<usize> {
        let statement = self.statement(sql)?;
        let changed = block_on(self.client.execute_raw(&statement, parameters(values)))?;
        Ok(usize::try_from(changed).unwrap_or(usize::MAX))
    }

    /// All rows of a short answer.
    pub(super) fn rows(&self, sql: &str, values: &[Value<'_>]) -> Done<Vec<tokio_postgres::Row>> {
        let statement = self.statement(sql)?;
        let values: Vec<_> = parameters(values).collect();
        Ok(block_on(self.client.query(&statement, &values))?)
    }

    /// The rows of a long answer, some at a time, so that other statements may be carried out in between.
    pub(super) fn each(
        &self,
        sql: &str,
        values: &[Value<'_>],
        with: &mut dyn FnMut(&Row<'_>) -> Done<bool>,
    ) -> Done<()> {
        let is_own = !self.is_in_transaction.get();
        if is_own {
            self.begin("BEGIN")?;
        }
        let read = self.read(sql, values, with);
        if is_own { self.end(if read.is_ok() { "COMMIT" } else { "ROLLBACK" }).and(read) } else { read }
    }

    fn read(&self, sql: &str, values: &[Value<'_>], with: &mut dyn FnMut(&Row<'_>) -> Done<bool>) -> Done<()> {
        let number = self.cursors.get();
        self.cursors.set(number + 1);
        let declare = format!("DECLARE c{number} NO SCROLL CURSOR FOR {sql}");
        let declare = block_on(self.client.prepare(&numbered(&declare)))?;
        block_on(self.client.execute_raw(&declare, parameters(values)))?;
        let fetch = block_on(self.client.prepare(&format!("FETCH {FETCHED} FROM c{number}")))?;
        loop {
            let rows = block_on(self.client.query(&fetch, &[]))?;
            for row in &rows {
                if !with(&Row::Postgres(row))? {
                    return self.say(&format!("CLOSE c{number}"));
                }
            }
            if rows.len() < FETCHED {
                return self.say(&format!("CLOSE c{number}"));
            }
        }
    }

    /// Adds rows to a table, which travel as one stream.
    pub(super) fn fill<const N: usize>(&self, table: &str, columns: &str, rows: &[[Value<'_>; N]]) -> Done<()> {
        let kinds = self.statement(&format!("SELECT {columns} FROM {table}"))?;
        let kinds: Vec<_> = kinds.columns().iter().map(|column| column.type_().clone()).collect();
        let copy = self.statement(&format!("COPY {table} ({columns}) FROM STDIN (FORMAT binary)"))?;
        block_on(async {
            let mut writer = pin!(BinaryCopyInWriter::new(self.client.copy_in(&copy).await?, &kinds));
            for row in rows {
                writer.as_mut().write_raw(parameters(row)).await?;
            }
            writer.finish().await
        })?;
        Ok(())
    }

    /// Carries out statements that travel together, in their order.
    fn send(&self, statements: &[Queued]) -> Done<()> {
        let prepared = statements.iter().map(|queued| self.statement(&queued.sql)).collect::<Done<Vec<_>>>()?;
        let under_way = statements
            .iter()
            .zip(&prepared)
            .map(|(queued, statement)| Some(Box::pin(self.client.execute_raw(statement, parameters(&queued.values)))));
        let mut under_way: Vec<_> = under_way.collect();
        let mut is_sent = false;
        // Each goes on its way when it is asked for the first time, in this order, and their answers come in the same.
        let all = std::future::poll_fn(|context| {
            let mut is_done = true;
            for slot in &mut under_way {
                let Some(statement) = slot else { continue };
                match statement.as_mut().poll(context) {
                    Poll::Ready(Ok(_)) => *slot = None,
                    Poll::Ready(Err(why)) => return Poll::Ready(Err(why)),
                    Poll::Pending if is_sent => return Poll::Pending,
                    Poll::Pending => is_done = false,
                }
            }
            is_sent = true;
            if is_done { Poll::Ready(Ok(())) } else { Poll::Pending }
        });
        Ok(block_on(pin!(all))?)
    }
}

/// Values as the library takes them.
fn parameters<T: ToSql + Sync>(values: &[T]) -> impl ExactSizeIterator<Item = &(dyn ToSql + Sync)> {
    values.iter().map(|value| value as _)
}

/// Waits for something that goes on among the connections.
fn wait<T: Send + 'static>(
    runtime: &Runtime,
    what: impl Future<Output = Result<T, tokio_postgres::Error>> + Send + 'static,
) -> Done<T> {
    let done = block_on(runtime.spawn(what)).map_err(|why| Fault::Unreached(why.to_string()))?;
    Ok(done?)
}

/// What the database says, or the connection.
pub(super) fn said(why: &tokio_postgres::Error) -> String {
    if is_password_missing(why) {
        return "it wants a password, and none is configured".into();
    }
    let of_database = why.as_db_error().map(|said| format!("{} ({})", said.message(), said.code().code()));
    of_database.unwrap_or_else(|| {
        let cause = std::error::Error::source(why);
        cause.map_or_else(|| why.to_string(), |cause| format!("{why}: {cause}"))
    })
}

/// Whether a server wants a password, and there is none. The library has no other word for that.
fn is_password_missing(why: &tokio_postgres::Error) -> bool {
    std::error::Error::source(why).is_some_and(|cause| cause.to_string() == "password missing")
}

/// The version of the tables that this program uses.
pub(super) fn known_version() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// `?` and `?1`, as SQLite has them, become `$1`.
fn numbered(sql: &str) -> String {
    let mut numbered = String::with_capacity(sql.len() + 8);
    let (mut count, mut rest) = (0, sql);
    while let Some((before, after)) = rest.split_once('?') {
        numbered.push_str(before);
        numbered.push('$');
        if !after.starts_with(|c: char| c.is_ascii_digit()) {
            count += 1;
            numbered.push_str(&count.to_string());
        }
        rest = after;
    }
    numbered.push_str(rest);
    numbered
}

/// A statement that waits to travel with others.
#[derive(Debug)]
struct Queued {
    sql: String,
    values: Vec<Kept>,
}

/// A value that waits.
#[derive(Debug)]
enum Kept {
    Null,
    Number(i64),
    Text(String),
    Octets(Vec<u8>),
}

/// Statements that travel together.
#[derive(Debug, Default)]
pub(super) struct Queue {
    statements: Vec<Queued>,
    octets: usize,
}

impl Queue {
    /// One more; those that are there may go on their way.
    pub(super) fn add(&mut self, session: &Session, sql: &str, values: &[Value<'_>]) -> Done<()> {
        let keep = |value: &Value<'_>| match *value {
            Value::Null => Kept::Null,
            Value::Number(number) => Kept::Number(number),
            Value::Text(text) => Kept::Text(text.to_owned()),
            Value::Octets(octets) => Kept::Octets(octets.to_owned()),
        };
        let size = |value: &Value<'_>| match *value {
            Value::Null | Value::Number(_) => 8,
            Value::Text(text) => text.len(),
            Value::Octets(octets) => octets.len(),
        };
        self.octets += values.iter().map(size).sum::<usize>();
        self.statements.push(Queued { sql: sql.to_owned(), values: values.iter().map(keep).collect() });
        if self.statements.len() < TOGETHER.0 && self.octets < TOGETHER.1 { Ok(()) } else { self.send(session) }
    }

    /// All of them are carried out.
    pub(super) fn send(&mut self, session: &Session) -> Done<()> {
        let (statements, _) = (std::mem::take(&mut self.statements), std::mem::take(&mut self.octets));
        session.send(&statements)
    }
}

impl ToSql for Value<'_> {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match *self {
            Self::Null => Ok(IsNull::Yes),
            Self::Number(number) => match *kind {
                Type::BOOL => (number != 0).to_sql(kind, out),
                Type::INT2 => i16::try_from(number)?.to_sql(kind, out),
                Type::INT4 => i32::try_from(number)?.to_sql(kind, out),
                _ => number.to_sql(kind, out),
            },
            // PostgreSQL's texts hold no NUL, and what a server said may.
            Self::Text(text) if text.contains('\0') => text.replace('\0', "\u{fffd}").to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Octets(octets) => octets.to_sql(kind, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl ToSql for Kept {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        let value = match self {
            Self::Null => Value::Null,
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(text),
            Self::Octets(octets) => Value::Octets(octets),
        };
        value.to_sql(kind, out)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// What stands in a cell.
pub(super) fn cell<'r>(row: &'r tokio_postgres::Row, at: At<'_>) -> Done<Value<'r>> {
    let nth = match at {
        At::Nth(nth) => nth,
        At::Named(name) => row.columns().iter().position(|column| column.name() == name).ok_or(Fault::Odd)?,
    };
    let kind = row.columns().get(nth).ok_or(Fault::Odd)?.type_();
    Ok(match *kind {
        Type::BOOL => row.try_get::<_, Option<bool>>(nth)?.map_or(Value::Null, |is| Value::Number(is.into())),
        Type::INT4 => row.try_get::<_, Option<i32>>(nth)?.map_or(Value::Null, |number| Value::Number(number.into())),
        Type::INT8 => row.try_get::<_, Option<i64>>(nth)?.map_or(Value::Null, Value::Number),
        Type::TEXT | Type::VARCHAR | Type::NAME => {
            row.try_get::<_, Option<&str>>(nth)?.map_or(Value::Null, Value::Text)
        }
        Type::BYTEA => row.try_get::<_, Option<&[u8]>>(nth)?.map_or(Value::Null, Value::Octets),
        _ => return Err(Fault::Odd),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_for_values_are_numbered_as_sqlite_numbers_them() {
        for (sql, expected) in [
            ("SELECT 1", "SELECT 1"),
            ("a = ? AND b = ?", "a = $1 AND b = $2"),
            ("a = ?2 AND b = ?1 OR c = ?2", "a = $2 AND b = $1 OR c = $2"),
        ] {
            assert_eq!(numbered(sql), expected);
        }
    }
}
