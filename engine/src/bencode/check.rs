//! The tokenizer, and the check of what the tokens make: a fixed stack of frames, no recursion.

/// The deepest nesting of lists and dictionaries that is accepted.
pub const MAX_DEPTH: usize = 100;
/// The most tokens (integers, strings, openings, endings) that are accepted in one value.
pub const MAX_TOKENS: u32 = 2_000_000;

/// Why bytes are not bencode, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{fault} at byte {at}")]
pub struct BencodeError {
    /// The offset of the token at fault, or of the byte within it.
    pub at: usize,
    /// What is wrong there.
    pub fault: Fault,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The input ends within a value.
    #[error("the input ends too early")]
    End,
    /// No token continues or begins like this.
    #[error("an unexpected byte {0:#04x}")]
    Byte(u8),
    /// A number or a length with a zero in front.
    #[error("a leading zero")]
    LeadingZero,
    /// `-0`.
    #[error("a negative zero")]
    NegativeZero,
    /// An integer outside 64 bits with sign.
    #[error("an integer outside 64 bits")]
    Range,
    /// A string that is longer than what is left of the input.
    #[error("a string longer than the input")]
    StringLength,
    /// A key that is no string.
    #[error("a key that is not a string")]
    KeyType,
    /// A key that sorts before the one before it.
    #[error("a key out of order")]
    KeyOrder,
    /// The same key twice.
    #[error("a key that was there already")]
    KeyTwice,
    /// A dictionary that ends after a key.
    #[error("a key without a value")]
    NoValue,
    /// Deeper than [`MAX_DEPTH`].
    #[error("nesting deeper than {MAX_DEPTH}")]
    Depth,
    /// More than [`MAX_TOKENS`].
    #[error("more than {MAX_TOKENS} tokens")]
    Tokens,
    /// Bytes after the value.
    #[error("bytes after the value")]
    Trailing,
}

/// One token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Integer(i64),
    String(&'a [u8]),
    List,
    Dictionary,
    End,
}

/// Bytes, token by token.
#[derive(Clone, Debug)]
pub(super) struct Tokens<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Tokens<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next token; on an error the position is undefined.
    pub(super) fn next(&mut self) -> Result<Token<'a>, BencodeError> {
        let first = self.byte()?;
        Ok(match first {
            b'i' => Token::Integer(self.integer()?),
            b'0'..=b'9' => Token::String(self.string(first)?),
            b'l' => Token::List,
            b'd' => Token::Dictionary,
            b'e' => Token::End,
            other => return Err(BencodeError { at: self.at - 1, fault: Fault::Byte(other) }),
        })
    }

    /// The bytes of the next value, in bytes that have been checked; `None` at the end of what holds it.
    pub(super) fn skip_value(&mut self) -> Option<&'a [u8]> {
        let start = self.at;
        let mut depth = 0usize;
        loop {
            match self.next().ok()? {
                Token::List | Token::Dictionary => depth += 1,
                // Stay, so that an iterator that is asked again says `None` again.
                Token::End if depth == 0 => {
                    self.at = start;
                    return None;
                }
                Token::End => depth -= 1,
                Token::Integer(_) | Token::String(_) => {}
            }
            if depth == 0 {
                return self.bytes.get(start..self.at);
            }
        }
    }

    fn byte(&mut self) -> Result<u8, BencodeError> {
        let byte = self.bytes.get(self.at).copied();
        self.at += 1;
        byte.ok_or(BencodeError { at: self.bytes.len(), fault: Fault::End })
    }

    /// What follows an `i`, its `e` included.
    fn integer(&mut self) -> Result<i64, BencodeError> {
        let first = self.byte()?;
        let start = self.at - 1;
        let (negative, mut byte) = if first == b'-' { (true, self.byte()?) } else { (false, first) };
        let (digits, mut value) = (self.at - 1, 0i64);
        while byte.is_ascii_digit() {
            if value == 0 && self.at - 1 > digits {
                return Err(BencodeError { at: digits, fault: Fault::LeadingZero });
            }
            let digit = i64::from(byte - b'0');
            // Towards the sign's own end, which for negative numbers is one further away.
            let next = value
                .checked_mul(10)
                .and_then(|v| if negative { v.checked_sub(digit) } else { v.checked_add(digit) });
            value = next.ok_or(BencodeError { at: start, fault: Fault::Range })?;
            byte = self.byte()?;
        }
        if byte != b'e' || self.at - 1 == digits {
            return Err(BencodeError { at: self.at - 1, fault: Fault::Byte(byte) });
        }
        if negative && value == 0 {
            return Err(BencodeError { at: start, fault: Fault::NegativeZero });
        }
        Ok(value)
    }

    /// What follows the first digit of a string's length.
    fn string(&mut self, first: u8) -> Result<&'a [u8], BencodeError> {
        let start = self.at - 1;
        let mut length = usize::from(first - b'0');
        loop {
            match self.byte()? {
                b':' => break,
                b'0'..=b'9' if first == b'0' => {
                    return Err(BencodeError { at: start, fault: Fault::LeadingZero });
                }
                digit @ b'0'..=b'9' => {
                    length = length
                        .checked_mul(10)
                        .and_then(|l| l.checked_add(usize::from(digit - b'0')))
                        .ok_or(BencodeError { at: start, fault: Fault::StringLength })?;
                }
                other => return Err(BencodeError { at: self.at - 1, fault: Fault::Byte(other) }),
            }
        }
        let end = self.at.checked_add(length);
        let string = end.and_then(|end| self.bytes.get(self.at..end));
        self.at = self.at.saturating_add(length);
        string.ok_or(BencodeError { at: start, fault: Fault::StringLength })
    }
}

/// What is open around the next token.
#[derive(Clone, Copy)]
enum Frame<'a> {
    List,
    /// A dictionary whose next token is a key, after this one.
    Key(Option<&'a [u8]>),
    /// A dictionary whose next token is this key's value.
    Value(&'a [u8]),
}

/// The length of the value that `bytes` begin with, if it is valid.
pub(super) fn value_length(bytes: &[u8]) -> Result<usize, BencodeError> {
    let mut tokens = Tokens::new(bytes);
    let mut stack = [Frame::List; MAX_DEPTH];
    let mut depth = 0usize;
    for _ in 0..MAX_TOKENS {
        let at = tokens.at;
        let fault = |fault| Err(BencodeError { at, fault });
        let token = tokens.next()?;
        // The innermost frame; none around the outermost value.
        let top = depth.checked_sub(1).and_then(|top| stack.get_mut(top));
        match (top, token) {
            (Some(frame @ Frame::Key(_)), Token::String(key)) => {
                if let Frame::Key(Some(before)) = frame {
                    match key.cmp(before) {
                        std::cmp::Ordering::Less => return fault(Fault::KeyOrder),
                        std::cmp::Ordering::Equal => return fault(Fault::KeyTwice),
                        std::cmp::Ordering::Greater => {}
                    }
                }
                *frame = Frame::Value(key);
                continue;
            }
            (Some(Frame::List | Frame::Key(_)), Token::End) => depth -= 1,
            (Some(Frame::Key(_)), _) => return fault(Fault::KeyType),
            (Some(Frame::Value(_)), Token::End) => return fault(Fault::NoValue),
            (None, Token::End) => return fault(Fault::Byte(b'e')),
            (top, token) => {
                // The value of a key is here or begins here: a key is next once it is over.
                if let Some(frame) = top
                    && let Frame::Value(key) = *frame
                {
                    *frame = Frame::Key(Some(key));
                }
                let opened = match token {
                    Token::List => Some(Frame::List),
                    Token::Dictionary => Some(Frame::Key(None)),
                    _ => None,
                };
                if let Some(frame) = opened {
                    *stack.get_mut(depth).ok_or(BencodeError { at, fault: Fault::Depth })? = frame;
                    depth += 1;
                }
            }
        }
        if depth == 0 {
            return Ok(tokens.at);
        }
    }
    Err(BencodeError { at: tokens.at, fault: Fault::Tokens })
}
