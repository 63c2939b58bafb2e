//! What happens to messages is written down in one statement, which is a transaction of its own: one way to the server and back,
//! however many messages it is about.

use pollster::block_on;

use super::{Fence, Session, parameters};
use crate::outbox::database::{
    Done,
    note::{Attempt, Notes},
    value::Value,
};

/// So many arrays are of what begins, of what is over, and of what was put off.
const ARRAYS: [usize; 3] = [6, 6, 4];

impl Session {
    /// Writes all of it down, or nothing.
    pub(in crate::outbox::database) fn note(&self, notes: &Notes<'_>, fence: &Fence) -> Done<()> {
        let [mut begun, mut over, mut put_off] = ARRAYS.map(|arrays| vec![Vec::new(); arrays]);
        for (position, attempt) in notes.attempts {
            let position = Value::Number(*position);
            match attempt {
                Attempt::Begins { message_id, server, tls, slot, at } => {
                    let at = Value::Number(at.as_millisecond());
                    add(
                        &mut begun,
                        [position, Value::Text(message_id), Value::Text(server), text(*tls), number(*slot), at],
                    );
                }
                Attempt::Ends { outcome, code, said, at, put_off: again } => {
                    let (outcome, said, at) =
                        (Value::Text(outcome.name()), Value::Text(said), Value::Number(at.as_millisecond()));
                    let enhanced = text(code.as_ref().and_then(|(_, enhanced)| enhanced.as_deref()));
                    let code = number(code.as_ref().map(|(code, _)| i64::from(*code)));
                    add(&mut over, [position, outcome, code, enhanced, said, at]);
                    if let Some(again) = again {
                        let [since, due] = [again.since, again.due].map(|at| Value::Number(at.as_millisecond()));
                        add(&mut put_off, [position, Value::Number(again.tries.into()), since, due]);
                    }
                }
            }
        }
        let places = vec!["?"; 2 + ARRAYS.iter().sum::<usize>()].join(", ");
        // What stands behind FROM is carried out first.
        let statement = self.statement(&format!("SELECT note({places}) FROM {}", Fence::SQL))?;
        let campaign = [Value::Number(notes.campaign), text(notes.account)];
        let fence = fence.values();
        let arrays = [&begun, &over, &put_off].map(|arrays| parameters(arrays));
        let all: Vec<_> = parameters(&campaign).chain(arrays.into_iter().flatten()).chain(parameters(&fence)).collect();
        block_on(self.client.execute_raw(&statement, all))?;
        Ok(())
    }
}

/// One more in each of some arrays.
fn add<'v, const N: usize>(arrays: &mut [Vec<Value<'v>>], values: [Value<'v>; N]) {
    arrays.iter_mut().zip(values).for_each(|(array, value)| array.push(value));
}

fn text(text: Option<&str>) -> Value<'_> {
    text.map_or(Value::Null, Value::Text)
}

fn number(number: Option<i64>) -> Value<'static> {
    number.map_or(Value::Null, Value::Number)
}
