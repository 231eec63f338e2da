//! Reads Rust sources as text: tokens without comments, strings and test code, and the paths they name.
//!
//! This is no compiler. Where the text is ambiguous it errs on the side of naming one path too many.

/// One source file, without its comments, literals and test code.
pub(crate) struct Source {
    /// As `src/mail/parse.rs`.
    pub(crate) path: String,
    /// As `["mail", "parse"]`; empty for the crate's roots.
    pub(crate) module: Vec<String>,
    /// What is left of the text.
    pub(crate) tokens: Vec<Token>,
    /// Modules whose declarations stand under `#[cfg(test)]`.
    pub(crate) test_modules: Vec<Vec<String>>,
}

/// A word, a literal (its `text` is always `0`), or punctuation; `::`, `->` and `=>` are one token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) text: String,
    /// A literal as it is written, with its quotes.
    pub(crate) literal: Option<String>,
    pub(crate) line: usize,
}

/// A path as the compiler would see it: `["crate", "mail", "Part"]`, or a crate's name first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
    /// Ends in `*`.
    pub(crate) glob: bool,
    /// Is a `pub use`, which makes the item known elsewhere.
    pub(crate) public: bool,
}

impl Source {
    /// Reads the file at `path` (from the project's root, with slashes) with this `text`.
    pub(crate) fn read(path: &str, text: &str) -> Source {
        let module = module_of(path);
        let (tokens, test_modules) = without_tests(tokens(text), &module);
        Source { path: path.to_owned(), module, tokens, test_modules }
    }

    /// Every path of two or more segments, everything imported, and every `extern crate`, with `use` names, `self` and `super` resolved.
    pub(crate) fn named(&self) -> Vec<Named> {
        let (uses, inline) = raw_paths(&self.tokens, &self.module);
        let (local, aliases) = self.aliases(&uses);
        let imported = uses.iter().zip(&aliases).map(|(one, (_, segments))| (one, segments.clone()));
        let written = inline.iter().map(|one| (one, resolve(one, &aliases, &local)));
        imported
            .chain(written)
            .map(|(one, segments)| Named { segments, line: one.line, glob: one.glob, public: one.public })
            .collect()
    }

    /// The names that imports make known, and what they stand for.
    pub(crate) fn imported(&self) -> Vec<(String, Vec<String>)> {
        let (uses, _) = raw_paths(&self.tokens, &self.module);
        self.aliases(&uses).1
    }

    /// The modules that are declared here, and what each name of `uses` stands for.
    fn aliases(&self, uses: &[Raw]) -> (Vec<&str>, Vec<(String, Vec<String>)>) {
        let declared = self.tokens.windows(2).filter(|pair| pair[0].text == "mod" && is_word(&pair[1].text));
        let local: Vec<&str> = declared.map(|pair| pair[1].text.as_str()).collect();
        // An alias may be made of an alias that stands below it, so resolve as often as there are aliases, but not endlessly.
        let mut aliases: Vec<(String, Vec<String>)> = Vec::new();
        for _ in 0..uses.len().min(4) {
            let once = |one: &Raw| {
                let others: Vec<_> = aliases.iter().filter(|(name, _)| *name != one.alias).cloned().collect();
                (one.alias.clone(), resolve(one, &others, &local))
            };
            aliases = uses.iter().map(once).collect();
        }
        (local, aliases)
    }
}

/// Whether a token is a word rather than punctuation or a literal.
pub(crate) fn is_word(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// The index one past the bracket that closes the one at `open`, or the end.
pub(crate) fn past_closing(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

fn module_of(path: &str) -> Vec<String> {
    let inner = path.strip_prefix("src/").unwrap_or(path).trim_end_matches(".rs");
    let mut module: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|last| last == "mod") || matches!(inner, "lib" | "main") {
        module.pop();
    }
    module
}

fn tokens(text: &str) -> Vec<Token> {
    let text: Vec<char> = text.chars().collect();
    let at = |index: usize| text.get(index).copied().unwrap_or('\0');
    let written = |start: usize, end: usize| text[start..end.min(text.len())].iter().collect::<String>();
    let mut tokens = Vec::new();
    let (mut index, mut line) = (0, 1);
    while index < text.len() {
        let start = index;
        let mut token = None;
        match at(index) {
            '/' if at(index + 1) == '/' => {
                while index < text.len() && at(index) != '\n' {
                    index += 1;
                }
            }
            '/' if at(index + 1) == '*' => {
                let mut depth = 0;
                loop {
                    match (at(index), at(index + 1)) {
                        ('/', '*') => (depth, index) = (depth + 1, index + 2),
                        ('*', '/') => (depth, index) = (depth - 1, index + 2),
                        _ => index += 1,
                    }
                    if depth == 0 || index >= text.len() {
                        break;
                    }
                }
            }
            '"' => (token, index) = (Some(LITERAL.into()), past_quote(&text, index, '"')),
            '\'' if at(index + 1) == '\\' || at(index + 2) == '\'' => {
                (token, index) = (Some(LITERAL.into()), past_quote(&text, index, '\''));
            }
            '\'' => {
                index += 1; // a lifetime: its name says nothing
                while at(index).is_alphanumeric() || at(index) == '_' {
                    index += 1;
                }
            }
            c if c.is_ascii_digit() => {
                while at(index).is_alphanumeric()
                    || at(index) == '_'
                    || (at(index) == '.' && at(index + 1).is_ascii_digit())
                {
                    index += 1;
                }
                token = Some(LITERAL.into());
            }
            c if c.is_alphabetic() || c == '_' => {
                while at(index).is_alphanumeric() || at(index) == '_' {
                    index += 1;
                }
                let word: String = text[start..index].iter().collect();
                let raw = matches!(word.as_str(), "r" | "br" | "cr");
                match (word.as_str(), at(index)) {
                    _ if raw && matches!(at(index), '"' | '#') && raw_quote(&text, index).is_some() => {
                        (token, index) = (Some(LITERAL.into()), raw_quote(&text, index).unwrap_or(text.len()));
                    }
                    ("r", '#') => index += 1, // r#name is name
                    ("b" | "c", '"' | '\'') => {
                        (token, index) = (Some(LITERAL.into()), past_quote(&text, index, at(index)));
                    }
                    _ => token = Some(word),
                }
            }
            c if c.is_whitespace() => index += 1,
            c => {
                let pair: String = [c, at(index + 1)].iter().collect();
                let double = matches!(pair.as_str(), "::" | "->" | "=>");
                index += if double { 2 } else { 1 };
                token = Some(if double { pair } else { c.to_string() });
            }
        }
        if let Some(text) = token {
            let literal = (text == LITERAL).then(|| written(start, index));
            tokens.push(Token { text, literal, line });
        }
        line += text[start..index.min(text.len())].iter().filter(|c| **c == '\n').count();
    }
    tokens
}

fn past_quote(text: &[char], open: usize, quote: char) -> usize {
    let mut index = open + 1;
    while index < text.len() && text[index] != quote {
        index += if text[index] == '\\' { 2 } else { 1 };
    }
    index + 1
}

/// One past the end of the raw string whose hashes, or whose quote, start at `index`; `None` if none starts there.
fn raw_quote(text: &[char], index: usize) -> Option<usize> {
    let hashes = text[index..].iter().take_while(|c| **c == '#').count();
    if text.get(index + hashes) != Some(&'"') {
        return None;
    }
    let mut close = vec!['"'];
    close.resize(hashes + 1, '#');
    let body = index + hashes + 1;
    let length = text[body..].windows(close.len()).position(|window| window == close);
    Some(length.map_or(text.len(), |length| body + length + close.len()))
}

/// Drops every item under `#[cfg(test)]` or `#[cfg(all(test, ..))]`, and names the modules among them that are files of their own.
fn without_tests(tokens: Vec<Token>, module: &[String]) -> (Vec<Token>, Vec<Vec<String>>) {
    let (mut kept, mut files) = (Vec::new(), Vec::new());
    let text = |index: usize| tokens.get(index).map_or("", |token: &Token| token.text.as_str());
    let is = |index: usize, words: &[&str]| words.iter().enumerate().all(|(i, word)| text(index + i) == *word);
    let mut index = 0;
    while index < tokens.len() {
        let for_tests = is(index, &["#", "[", "cfg", "(", "test", ")", "]"])
            || is(index, &["#", "[", "cfg", "(", "all", "(", "test", ","]);
        let mut item = index;
        while text(item) == "#" && text(item + 1) == "[" {
            item = past_closing(&tokens, item + 1);
        }
        if text(item) == "pub" {
            item += 1;
            if text(item) == "(" {
                item = past_closing(&tokens, item);
            }
        }
        // Under anything but an item (a field, a statement) it is hard to say how far it reaches: that stays, and is checked.
        if !for_tests || !ITEMS.contains(&text(item)) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        if text(item) == "mod" && text(item + 2) == ";" {
            files.push(module.iter().cloned().chain([text(item + 1).to_owned()]).collect());
        }
        let has_body = match text(item) {
            "const" => ["async", "extern", "fn", "unsafe"].contains(&text(item + 1)),
            "mod" => text(item + 2) == "{",
            "static" | "type" | "use" => false,
            _ => true,
        };
        index = item;
        while index < tokens.len() {
            match text(index) {
                ";" => break,
                "{" if has_body => break,
                "(" | "[" | "{" => index = past_closing(&tokens, index),
                _ => index += 1,
            }
        }
        index = if text(index) == "{" { past_closing(&tokens, index) } else { index + 1 };
    }
    (kept, files)
}

/// A path as written.
#[derive(Clone)]
struct Raw {
    segments: Vec<String>,
    /// The name it is imported under; empty for a path that is no import.
    alias: String,
    /// The module that it is written in.
    module: Vec<String>,
    line: usize,
    glob: bool,
    /// Starts with `::`, so that its first segment is a crate.
    external: bool,
    public: bool,
}

impl Raw {
    fn new(segments: Vec<String>, module: &[String], line: usize) -> Raw {
        Raw {
            segments,
            alias: String::new(),
            module: module.to_vec(),
            line,
            glob: false,
            external: false,
            public: false,
        }
    }
}

/// All imports, and all other paths of two or more segments.
fn raw_paths(tokens: &[Token], module: &[String]) -> (Vec<Raw>, Vec<Raw>) {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let (mut uses, mut inline) = (Vec::new(), Vec::new());
    let mut module = module.to_vec();
    let mut inner_modules: Vec<usize> = Vec::new(); // the index past each open inline module
    let mut index = 0;
    while index < tokens.len() {
        while inner_modules.last().is_some_and(|end| index >= *end) {
            inner_modules.pop();
            module.pop();
        }
        match text(index) {
            "mod" if text(index + 2) == "{" => {
                module.push(text(index + 1).to_owned());
                inner_modules.push(past_closing(tokens, index + 2));
                index += 3;
            }
            // `use<'a>` in a type is a precise capture, not an import.
            "use" if text(index + 1) != "<" => {
                let public = index > 0 && matches!(text(index - 1), "pub" | ")");
                let base = Raw { public, ..Raw::new(Vec::new(), &module, tokens[index].line) };
                index = use_tree(tokens, index + 1, base, &mut uses);
            }
            "extern" if text(index + 1) == "crate" => {
                let name = text(index + 2).to_owned();
                let alias = if text(index + 3) == "as" { text(index + 4).to_owned() } else { name.clone() };
                let external = name != "self";
                let name = if external { name } else { "crate".to_owned() };
                uses.push(Raw { alias, external, ..Raw::new(vec![name], &module, tokens[index].line) });
                index += 3;
            }
            word if is_word(word) || word == "::" || word == "$" => {
                let line = tokens[index].line;
                // `<Type>::name` counts as `Type::name`.
                let qualified = word == "::" && index >= 2 && text(index - 1) == ">" && is_word(text(index - 2));
                let mut segments: Vec<String> = if qualified { vec![text(index - 2).to_owned()] } else { Vec::new() };
                let external = word == "::" && !qualified;
                index += usize::from(word == "::");
                loop {
                    let metavariable = text(index) == "$";
                    index += usize::from(metavariable);
                    if !is_word(text(index)) {
                        break;
                    }
                    let name = text(index);
                    // `$crate` is the crate; any other metavariable may be anything.
                    segments.push(if metavariable && name != "crate" { format!("${name}") } else { name.to_owned() });
                    index += 1;
                    if text(index) != "::" {
                        break;
                    }
                    index += 1;
                    if text(index) == "<" {
                        index = past_generics(tokens, index);
                        if text(index) != "::" {
                            break;
                        }
                        index += 1;
                    }
                }
                if segments.len() > 1 {
                    inline.push(Raw { external, ..Raw::new(segments, &module, line) });
                }
            }
            _ => index += 1,
        }
    }
    (uses, inline)
}

/// The index one past the `>` that closes the `<` at `open`, or the end of what can be generics.
pub(crate) fn past_generics(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0usize;
    let mut index = open;
    while index < tokens.len() {
        match tokens[index].text.as_str() {
            "<" => depth += 1,
            ">" => depth -= 1,
            ";" | "{" => return index,
            _ => {}
        }
        index += 1;
        if depth == 0 {
            break;
        }
    }
    index
}

/// Reads one use tree that starts at `index` under `base`; gives the index of the token after it.
fn use_tree(tokens: &[Token], mut index: usize, mut base: Raw, out: &mut Vec<Raw>) -> usize {
    let text = |index: usize| tokens.get(index).map_or("", |token| token.text.as_str());
    let line_of = |index: usize| tokens.get(index).map_or(0, |token| token.line);
    base.line = line_of(index);
    if text(index) == "::" {
        base.external = true;
        index += 1;
    }
    loop {
        match text(index) {
            "{" => {
                index += 1;
                while !matches!(text(index), "}" | "") {
                    index = use_tree(tokens, index, base.clone(), out).max(index + 1);
                    index += usize::from(text(index) == ",");
                }
                return index + 1;
            }
            "*" => {
                base.line = line_of(index);
                base.glob = true;
                out.push(base);
                return index + 1;
            }
            "$" => index += 1,
            "self" if !base.segments.is_empty() && text(index + 1) != "::" => {
                index += 1;
                break;
            }
            word if is_word(word) => {
                let variable = index > 0 && text(index - 1) == "$" && word != "crate";
                base.segments.push(if variable { format!("${word}") } else { word.to_owned() });
                base.line = line_of(index);
                index += 1;
            }
            _ => break,
        }
        if text(index) != "::" {
            break;
        }
        index += 1;
    }
    base.alias = base.segments.last().cloned().unwrap_or_default();
    if text(index) == "as" {
        base.alias = text(index + 1).to_owned();
        index += 2;
    }
    if !base.segments.is_empty() {
        out.push(base);
    }
    index
}

fn resolve(raw: &Raw, aliases: &[(String, Vec<String>)], local: &[&str]) -> Vec<String> {
    let own = || std::iter::once("crate".to_owned()).chain(raw.module.iter().cloned());
    let first = raw.segments[0].as_str();
    let alias = aliases.iter().find(|(name, _)| name == first && name != "_");
    let mut resolved: Vec<String> = match first {
        _ if raw.external => vec![first.to_owned()],
        "crate" | "postseal" => vec!["crate".to_owned()],
        "self" => own().collect(),
        "super" => parent(own().collect()),
        _ if local.contains(&first) => own().chain([first.to_owned()]).collect(),
        _ => alias.map_or_else(|| vec![first.to_owned()], |(_, path)| path.clone()),
    };
    for segment in &raw.segments[1..] {
        if segment == "super" {
            resolved = parent(resolved);
        } else {
            resolved.push(segment.clone());
        }
    }
    resolved
}

fn parent(mut path: Vec<String>) -> Vec<String> {
    if path.len() > 1 {
        path.pop();
    }
    path
}

const LITERAL: &str = "0";

const ITEMS: &[&str] = &[
    "async",
    "const",
    "enum",
    "extern",
    "fn",
    "impl",
    "macro_rules",
    "mod",
    "static",
    "struct",
    "trait",
    "type",
    "unsafe",
    "use",
];
