//! What bodies look like, each shape by its name, and the examples.

mod callbacks;
mod channels;
pub(super) mod example;
mod operation;
mod refusals;
mod report;
mod requests;
mod start;

use serde_json::{Map, Value};

pub(super) use refusals::{APP_REFUSAL, GATEWAY_REFUSAL, TASK_REFUSAL};

/// A shape and its name.
type Shape = (&'static str, Value);

/// Every shape.
pub(super) fn all() -> Value {
    let shapes: [Vec<Shape>; 7] = [
        requests::all(),
        start::all(),
        report::all(),
        refusals::all(),
        callbacks::all(),
        channels::all(),
        operation::all(),
    ];
    shapes.into_iter().flatten().map(|(name, shape)| (name.to_owned(), shape)).collect::<Map<_, _>>().into()
}

fn about(mut shape: Value, text: &str) -> Value {
    shape["description"] = text.into();
    shape
}
