//! Parses the output of `tmux capture-pane -e` into cells with colours and attributes.
//! <https://man7.org/linux/man-pages/man4/console_codes.4.html>

/// A colour as red, green and blue.
pub(super) type Rgb = [u8; 3];

pub(super) const FOREGROUND: Rgb = [0xd8, 0xde, 0xe4];
pub(super) const BACKGROUND: Rgb = [0x12, 0x17, 0x1e];

/// The 16 colours that a terminal's theme defines.
const PALETTE: [Rgb; 16] = [
    [0x2a, 0x31, 0x3a],
    [0xf0, 0x71, 0x6f],
    [0x6c, 0xc6, 0x7a],
    [0xe3, 0xb3, 0x41],
    [0x62, 0xa6, 0xf5],
    [0xbc, 0x8c, 0xf2],
    [0x4c, 0xc2, 0xc8],
    [0xc4, 0xcc, 0xd4],
    [0x6e, 0x77, 0x81],
    [0xff, 0x93, 0x8e],
    [0x8c, 0xe0, 0x98],
    [0xf5, 0xcd, 0x6b],
    [0x8c, 0xc0, 0xff],
    [0xd4, 0xb0, 0xff],
    [0x7a, 0xde, 0xe2],
    [0xff, 0xff, 0xff],
];

/// Colours and attributes of a cell. `None` is the terminal's default colour.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "SGR attributes are independent of each other")]
pub(super) struct Style {
    foreground: Option<Rgb>,
    background: Option<Rgb>,
    pub(super) bold: bool,
    pub(super) dim: bool,
    pub(super) underline: bool,
    reverse: bool,
}

impl Style {
    pub(super) fn foreground(self) -> Rgb {
        if self.reverse {
            self.background.unwrap_or(BACKGROUND)
        } else {
            self.foreground.unwrap_or(FOREGROUND)
        }
    }

    /// `None` is the default background.
    pub(super) fn background(self) -> Option<Rgb> {
        if self.reverse { Some(self.foreground.unwrap_or(FOREGROUND)) } else { self.background }
    }

    /// Applies the parameters of one SGR sequence. Unknown parameters are ignored.
    fn apply(&mut self, parameters: &str) {
        let mut numbers = parameters.split([';', ':']).map(|number| number.parse().unwrap_or(0_u8));
        while let Some(number) = numbers.next() {
            match number {
                0 => *self = Self::default(),
                1 => self.bold = true,
                2 => self.dim = true,
                4 => self.underline = true,
                7 => self.reverse = true,
                22 => (self.bold, self.dim) = (false, false),
                24 => self.underline = false,
                27 => self.reverse = false,
                30..=37 => self.foreground = Some(indexed(number - 30)),
                38 => self.foreground = extended(&mut numbers),
                39 => self.foreground = None,
                40..=47 => self.background = Some(indexed(number - 40)),
                48 => self.background = extended(&mut numbers),
                49 => self.background = None,
                90..=97 => self.foreground = Some(indexed(number - 82)),
                100..=107 => self.background = Some(indexed(number - 92)),
                _ => {}
            }
        }
    }
}

/// The colour after 38 or 48: `5;INDEX` or `2;R;G;B`.
fn extended(numbers: &mut impl Iterator<Item = u8>) -> Option<Rgb> {
    match numbers.next()? {
        5 => Some(indexed(numbers.next()?)),
        2 => Some([numbers.next()?, numbers.next()?, numbers.next()?]),
        _ => None,
    }
}

/// The 256 colours of xterm: the palette, a cube of 6 x 6 x 6 colours, and 24 greys.
fn indexed(index: u8) -> Rgb {
    let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
    match index {
        0..=15 => PALETTE[usize::from(index)],
        16..=231 => {
            let cube = index - 16;
            [level(cube / 36), level(cube / 6 % 6), level(cube % 6)]
        }
        232..=255 => [8 + 10 * (index - 232); 3],
    }
}

/// The lines of the screen. A cell is one character, as net-traffic's screen has no wide characters.
pub(super) fn parse(screen: &str) -> Vec<Vec<(char, Style)>> {
    let mut style = Style::default();
    screen.lines().map(|line| parse_line(line, &mut style)).collect()
}

fn parse_line(line: &str, style: &mut Style) -> Vec<(char, Style)> {
    let mut cells = Vec::new();
    let mut rest = line;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        let Some(sequence) = rest.strip_prefix('[').filter(|_| character == '\x1b') else {
            if !character.is_control() {
                cells.push((character, *style));
            }
            continue;
        };
        let end = sequence.find(|last: char| last.is_ascii_alphabetic()).unwrap_or(sequence.len());
        if sequence[end..].starts_with('m') {
            style.apply(&sequence[..end]);
        }
        rest = sequence.get(end + 1..).unwrap_or_default();
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sgr_sequences_set_and_reset_style() {
        let lines = parse("a\x1b[1;38;5;2mb\x1b[22mc\x1b[0md\n\x1b[7me");
        let style = |line: usize, at: usize| lines[line][at].1;
        assert_eq!(lines[0].iter().map(|(character, _)| *character).collect::<String>(), "abcd");
        assert_eq!(style(0, 0), Style::default());
        assert!(style(0, 1).bold && style(0, 1).foreground() == PALETTE[2]);
        assert!(!style(0, 2).bold && style(0, 2).foreground() == PALETTE[2]);
        assert_eq!(style(0, 3), Style::default());
        assert_eq!((style(1, 0).foreground(), style(1, 0).background()), (BACKGROUND, Some(FOREGROUND)));
    }

    #[test]
    fn other_sequences_leave_no_cells() {
        let lines = parse("\x1b[?25lx\x1b[K");
        assert_eq!(lines[0], [('x', Style::default())]);
    }

    #[test]
    fn indexed_colours_follow_xterm() {
        assert_eq!(indexed(16), [0, 0, 0]);
        assert_eq!(indexed(231), [255, 255, 255]);
        assert_eq!(indexed(208), [255, 135, 0]);
        assert_eq!(indexed(255), [238, 238, 238]);
    }
}
