//! How numbers are written for people.

/// 1234567 as 1,234,567.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A rate, or a number on an axis: whole from ten on.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded, and never negative")]
pub(super) fn amount(number: f64) -> String {
    if number >= 9.95 || number.fract() == 0.0 { grouped(number.round() as u64) } else { significant(number) }
}

/// Milliseconds in the unit that reads best.
pub(super) fn milliseconds(number: f64) -> String {
    if number >= 999.5 {
        format!("{} s", significant(number / 1e3))
    } else if number >= 0.9995 {
        format!("{} ms", significant(number))
    } else {
        format!("{} µs", significant(number * 1e3))
    }
}

/// Three digits that mean something, without zeros behind the point.
pub(super) fn significant(number: f64) -> String {
    let places = match number {
        _ if number >= 99.95 || number == 0.0 => 0,
        _ if number >= 9.995 => 1,
        _ if number >= 0.9995 => 2,
        _ if number >= 0.099_95 => 3,
        _ => 4,
    };
    let text = format!("{number:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(["0", "12", "123", "1,234", "1,234,567"], [0, 12, 123, 1234, 1_234_567].map(grouped).as_slice());
        assert_eq!(["0", "2.5", "8", "12,346"], [0.0, 2.5, 8.0, 12345.6].map(amount).as_slice());
        let spans = [0.0, 0.0123, 0.25, 1.0, 12.345, 345.6, 1500.0].map(milliseconds);
        assert_eq!(spans, ["0 µs", "12.3 µs", "250 µs", "1 ms", "12.3 ms", "346 ms", "1.5 s"]);
    }
}
