//! OAuth 2.0: tokens are got from an issuer, kept, renewed and given to delivery.
//!
//! A person is asked once, by a [`Client`]; the [`Token`] is kept in a [`Store`]; and from then on [`Tokens`] gives a good one for
//! each connection. A [`TokenCommand`] leaves all that to another program.

mod client;
mod command;
mod error;
mod https;
mod issuer;
mod loopback;
mod store;
mod token;
mod tokens;

pub use self::{
    client::{Client, DeviceCode, Question},
    command::TokenCommand,
    error::LoginError,
    loopback::Loopback,
    store::Store,
    token::Token,
    tokens::Tokens,
};
