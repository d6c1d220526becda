//! karman-grid-core decides who may draw how many watts right now.
//!
//! Pure: no clock reads, no files, no sockets, no threads of its own; time is an argument, and
//! everything it learns comes in as [`sample::SampleBlock`], [`sample::PowerSample`], messages of
//! agents ([`command::FromAgent`]) and time.
//!
//! The loop in ten lines: sample blocks go through [`waveform`] into [`detect`], which names what
//! happened ([`event::ElectricalEvent`]); the newest value of every meter stands in the [`image`];
//! [`contingency`] keeps a complete cap plan armed for every credible failure, [`admission`] says
//! how much reserve may be used meanwhile, [`allocate`] shares it out, [`guard`] has the last word
//! under the [`ledger`] of caps believed in force, and [`engine`] sends the commands. The agent's
//! side of a cap — lease, epoch, armed plans — is [`lease`].

pub mod admission;
pub mod allocate;
pub mod command;
pub mod contingency;
pub mod curve;
pub mod detect;
pub mod engine;
pub mod error;
pub mod event;
pub mod guard;
pub mod ids;
pub mod image;
pub mod journal;
pub mod judge;
pub mod lease;
pub mod ledger;
pub mod limits;
pub mod mode;
pub mod ring;
pub mod rows;
pub mod sample;
pub mod shares;
pub mod site;
pub mod time;
pub mod topology;
pub mod units;
pub mod waveform;
