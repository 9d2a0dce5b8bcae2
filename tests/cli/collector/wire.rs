//! What stands in a protocol buffer, read by hand from the numbers of the published `.proto` files: whoever
//! sends and whoever looks must not share a mistake, so nothing here knows the exporter's crates.

use std::collections::BTreeMap;

/// A field's value as it is on the wire.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    Number(u64),
    Fixed(u64),
    Short(u32),
    Bytes(Vec<u8>),
}

/// A message: its fields, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Message(Vec<(u64, Value)>);

fn varint(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for place in 0..10 {
        let (first, rest) = bytes.split_first().expect("a number that ends");
        *bytes = rest;
        value |= u64::from(first & 0x7f) << (7 * place);
        if first & 0x80 == 0 {
            return value;
        }
    }
    panic!("a number of more than ten bytes");
}

fn take<'b>(bytes: &mut &'b [u8], count: usize) -> &'b [u8] {
    let (part, rest) = bytes.split_at_checked(count).expect("as many bytes as were announced");
    *bytes = rest;
    part
}

impl Message {
    pub(super) fn read(mut bytes: &[u8]) -> Self {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes);
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut bytes)),
                1 => {
                    Value::Fixed(u64::from_le_bytes(take(&mut bytes, 8).try_into().expect("eight")))
                }
                2 => {
                    let count = usize::try_from(varint(&mut bytes)).expect("a length");
                    Value::Bytes(take(&mut bytes, count).to_vec())
                }
                5 => {
                    Value::Short(u32::from_le_bytes(take(&mut bytes, 4).try_into().expect("four")))
                }
                other => panic!("no wire type {other}"),
            };
            fields.push((tag >> 3, value));
        }
        Self(fields)
    }

    fn all(&self, field: u64) -> impl Iterator<Item = &Value> {
        self.0.iter().filter(move |(no, _)| *no == field).map(|(_, value)| value)
    }

    pub(super) fn bytes(&self, field: u64) -> Vec<u8> {
        match self.all(field).last() {
            Some(Value::Bytes(bytes)) => bytes.clone(),
            None => Vec::new(),
            Some(other) => panic!("field {field} is {other:?}"),
        }
    }

    pub(super) fn text(&self, field: u64) -> String {
        String::from_utf8(self.bytes(field)).expect("text")
    }

    pub(super) fn number(&self, field: u64) -> u64 {
        match self.all(field).last() {
            Some(Value::Number(number) | Value::Fixed(number)) => *number,
            Some(Value::Short(number)) => u64::from(*number),
            None => 0,
            Some(other) => panic!("field {field} is {other:?}"),
        }
    }

    pub(super) fn float(&self, field: u64) -> f64 {
        f64::from_bits(self.number(field))
    }

    pub(super) fn messages(&self, field: u64) -> Vec<Self> {
        let read = |value: &Value| match value {
            Value::Bytes(bytes) => Self::read(bytes),
            other => panic!("field {field} is {other:?}"),
        };
        self.all(field).map(read).collect()
    }

    /// Eight bytes each, packed.
    pub(super) fn packed(&self, field: u64) -> Vec<u64> {
        let bytes = self.bytes(field);
        bytes.chunks(8).map(|chunk| u64::from_le_bytes(chunk.try_into().expect("eight"))).collect()
    }

    /// Names and values: `KeyValue` in `common.proto`.
    pub(super) fn attributes(&self, field: u64) -> BTreeMap<String, String> {
        let pairs = self.messages(field).into_iter();
        pairs.map(|pair| (pair.text(1), pair.messages(2).remove(0).any())).collect()
    }

    /// A value in words: `AnyValue` in `common.proto`.
    fn any(&self) -> String {
        match self.0.as_slice() {
            [(1, Value::Bytes(_))] => self.text(1),
            [(3, Value::Number(number))] => number.to_string(),
            [(5, Value::Bytes(_))] => {
                let values = self.messages(5).remove(0).messages(1);
                values.iter().map(Self::any).collect::<Vec<_>>().join(",")
            }
            other => panic!("no value that is expected: {other:?}"),
        }
    }
}

/// A span, by the numbers in `trace.proto`.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub(super) trace: String,
    pub(super) id: String,
    pub(super) parent: String,
    pub(super) name: String,
    pub(super) kind: u64,
    pub(super) times: (u64, u64),
    pub(super) attributes: BTreeMap<String, String>,
    pub(super) events: Vec<String>,
    pub(super) status: u64,
}

pub(super) const INTERNAL: u64 = 1;
pub(super) const CLIENT: u64 = 3;
pub(super) const FAILED: u64 = 2;

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

impl Span {
    fn read(message: &Message) -> Self {
        Self {
            trace: hex(&message.bytes(1)),
            id: hex(&message.bytes(2)),
            parent: hex(&message.bytes(4)),
            name: message.text(5),
            kind: message.number(6),
            times: (message.number(7), message.number(8)),
            attributes: message.attributes(9),
            events: message.messages(11).iter().map(|event| event.text(2)).collect(),
            status: message.messages(15).iter().map(|status| status.number(3)).sum(),
        }
    }

    #[track_caller]
    pub(super) fn of(&self, name: &str) -> &str {
        self.attributes.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

/// The spans of a request.
pub(super) fn spans(request: &[u8]) -> Vec<Span> {
    let scopes = Message::read(request).messages(1).into_iter().flat_map(|of| of.messages(2));
    let spans = scopes.flat_map(|scope| {
        assert_eq!(scope.messages(1).remove(0).text(1), "greenroom");
        scope.messages(2)
    });
    spans.map(|span| Span::read(&span)).collect()
}

/// What a request says of whoever sends it, about spans or metrics: that is the same field in both.
pub(super) fn resources(request: &[u8]) -> Vec<BTreeMap<String, String>> {
    let all = Message::read(request).messages(1);
    all.iter().map(|of| of.messages(1).remove(0).attributes(1)).collect()
}

/// A point of a histogram, by the numbers in `metrics.proto`.
#[derive(Clone, Debug)]
pub(super) struct Point {
    pub(super) name: String,
    pub(super) unit: String,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) count: u64,
    pub(super) sum: f64,
    pub(super) buckets: Vec<u64>,
    pub(super) bounds: Vec<f64>,
}

pub(super) fn points(request: &[u8]) -> Vec<Point> {
    let mut all = Vec::new();
    let resources = Message::read(request).messages(1).into_iter();
    let scopes = resources.flat_map(|resource| resource.messages(2));
    for metric in scopes.flat_map(|scope| scope.messages(2)) {
        let histogram = metric.messages(9).remove(0);
        assert_eq!(histogram.number(2), 2, "it adds up from the start on");
        all.extend(histogram.messages(1).iter().map(|point| Point {
            name: metric.text(1),
            unit: metric.text(3),
            labels: point.attributes(9),
            count: point.number(4),
            sum: point.float(5),
            buckets: point.packed(6),
            bounds: point.packed(7).into_iter().map(f64::from_bits).collect(),
        }));
    }
    all
}

#[test]
fn it_reads_what_stands_in_the_bytes() {
    // Field 1 is 300, field 2 is "ab", field 3 eight bytes, field 4 four, field 5 a message in which 1 is 7.
    let bytes = [
        &[0x08, 0xac, 0x02, 0x12, 2, b'a', b'b', 0x19, 1, 0, 0, 0, 0, 0, 0, 0][..],
        &[0x25, 9, 0, 0, 0, 0x2a, 2, 0x08, 7],
    ];
    let message = Message::read(&bytes.concat());
    assert_eq!((message.number(1), message.text(2), message.number(3)), (300, "ab".to_owned(), 1));
    assert_eq!((message.number(4), message.messages(5)[0].number(1), message.number(6)), (9, 7, 0));
}
