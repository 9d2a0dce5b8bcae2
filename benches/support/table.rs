//! Figures as lines under a head, as wide as they are.

/// Prints a table; the first column is words, the others are numbers.
pub fn print(title: &str, head: &[&str], rows: &[Vec<String>]) {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count());
        cells.chain([head[column].chars().count()]).max().unwrap_or(0)
    };
    let line = |cells: &[String]| {
        let mut text = String::new();
        for (column, cell) in cells.iter().enumerate() {
            let pad = " ".repeat(width(column).saturating_sub(cell.chars().count()));
            if column == 0 {
                text += &format!("{cell}{pad}")
            } else {
                text += &format!("  {pad}{cell}")
            }
        }
        text
    };
    println!("\n{title}");
    println!("{}", line(&head.iter().map(|cell| (*cell).to_owned()).collect::<Vec<_>>()));
    rows.iter().for_each(|row| println!("{}", line(row)));
}
