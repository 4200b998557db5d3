//! The block of an evaluation in an existing model card.

use super::words::refused;
use satmip::Result;

/// Marks around the block in a card.
const START: &str = "<!-- eval:start -->";
const END: &str = "<!-- eval:end -->";
/// The card with the block between its marks `<!-- eval:start -->` and `<!-- eval:end -->`
/// replaced; everything else stays as it is, ends of lines too.
///
/// # Errors
/// [`satmip::Error::Evaluation`] where the card lacks a mark, has one twice or has them the wrong
/// way round, and where the block holds a mark.
pub fn replace_block(card: &str, block: &str) -> Result<String> {
    for mark in [START, END] {
        if block.contains(mark) {
            return Err(refused(format!("the block for the card holds `{mark}`")));
        }
        match card.matches(mark).count() {
            1 => {}
            0 => return Err(refused(format!("the card has no `{mark}`"))),
            n => return Err(refused(format!("the card has `{mark}` {n} times"))),
        }
    }
    let parts = card.split_once(START);
    let parts = parts.and_then(|(head, rest)| Some((head, rest.split_once(END)?.1)));
    let Some((head, tail)) = parts else {
        return Err(refused(format!("the card has `{END}` before `{START}`")));
    };
    let end = if card.contains("\r\n") { "\r\n" } else { "\n" };
    let block: Vec<&str> = block.trim().lines().collect();
    let block = block.join(end);
    Ok(format!("{head}{START}{end}{block}{end}{END}{tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_replaced_and_the_rest_stays() {
        let card = format!("# Card\n\n{START}\nold\n{END}\n\nend\n");
        let new = replace_block(&card, "| a |\n").unwrap();
        assert_eq!(new, format!("# Card\n\n{START}\n| a |\n{END}\n\nend\n"));
        assert_eq!(replace_block(&new, "| a |\n").unwrap(), new);
        let windows = replace_block(&card.replace('\n', "\r\n"), "a\nb").unwrap();
        assert_eq!(
            windows.matches('\n').count(),
            windows.matches("\r\n").count()
        );
        for (bad, text) in [
            (String::new(), "no `<!-- eval:start"),
            (START.into(), "no `<!-- eval:end"),
            (format!("{START}{END}{START}"), "2 times"),
            (format!("{START}{END}{END}"), "2 times"),
            (format!("{END}{START}"), "before"),
        ] {
            let reason = replace_block(&bad, "x").unwrap_err().to_string();
            assert!(reason.contains(text), "{reason}");
        }
        assert!(replace_block(&card, END).is_err());
    }
}
