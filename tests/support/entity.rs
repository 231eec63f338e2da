//! A message as a tree that can be changed anywhere outside of what is signed, and written again octet for octet.

/// A header and a body.
#[derive(Clone, Debug)]
pub(crate) struct Entity {
    /// Each with its continuation lines and its last line break.
    pub(crate) fields: Vec<Vec<u8>>,
    /// The empty line.
    pub(crate) blank: Vec<u8>,
    pub(crate) body: Body,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Leaf(Vec<u8>),
    Parts(Parts),
}

/// The parts of a multipart, and every octet between them.
#[derive(Clone, Debug)]
pub(crate) struct Parts {
    pub(crate) boundary: String,
    pub(crate) preamble: Vec<u8>,
    /// Each after its boundary line, with the line breaks before and after that.
    pub(crate) parts: Vec<(Vec<u8>, Part)>,
    /// The last boundary line, with the line breaks before and after it.
    pub(crate) close: Vec<u8>,
    pub(crate) epilogue: Vec<u8>,
}

#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// What is signed.
    Frozen(Vec<u8>),
    Open(Entity),
}

impl Entity {
    /// Takes a well-formed message apart; the first part of multipart/signed stays whole.
    pub(crate) fn parse(octets: &[u8]) -> Entity {
        let mut fields: Vec<Vec<u8>> = Vec::new();
        let mut rest = octets;
        let blank = loop {
            let (line, after) =
                rest.split_at(rest.iter().position(|octet| *octet == b'\n').map_or(rest.len(), |at| at + 1));
            rest = after;
            match (line, fields.last_mut()) {
                (b"\r\n" | b"\n" | b"", _) => break line.to_vec(),
                ([b' ' | b'\t', ..], Some(field)) => field.extend_from_slice(line),
                _ => fields.push(line.to_vec()),
            }
        };
        let mut entity = Entity { fields, blank, body: Body::Leaf(rest.to_vec()) };
        if let Some(boundary) = entity.parameter("boundary").filter(|_| entity.kind().starts_with("multipart/")) {
            entity.body = Body::Parts(Parts::parse(rest, &boundary, entity.kind() == "multipart/signed"));
        }
        entity
    }

    pub(crate) fn write(&self) -> Vec<u8> {
        let mut octets = self.fields.concat();
        octets.extend_from_slice(&self.blank);
        match &self.body {
            Body::Leaf(body) => octets.extend_from_slice(body),
            Body::Parts(parts) => parts.write(&mut octets),
        }
        octets
    }

    /// The field of that name: where it is.
    pub(crate) fn at(&self, name: &str) -> Option<usize> {
        self.fields.iter().position(|field| {
            field.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()))
                && field.get(name.len()) == Some(&b':')
        })
    }

    /// The field's value, as it stands, without its last line break.
    pub(crate) fn value(&self, name: &str) -> Option<String> {
        let field = &self.fields[self.at(name)?];
        let value = String::from_utf8_lossy(&field[name.len() + 1..]).into_owned();
        Some(value.trim_end_matches(['\r', '\n']).trim_start().to_owned())
    }

    /// `type/subtype`.
    pub(crate) fn kind(&self) -> String {
        let value = self.value("Content-Type").unwrap_or_else(|| "text/plain".to_owned());
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// A parameter of Content-Type, of the plain forms.
    pub(crate) fn parameter(&self, name: &str) -> Option<String> {
        let value = self.value("Content-Type")?;
        let (_, after) = value.split_once(&format!("{name}="))?;
        let end = match after.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next(),
            None => after.split([';', ' ', '\r', '\n']).next(),
        };
        end.map(str::to_owned)
    }

    /// The entity that the path of indices of parts leads to.
    pub(crate) fn find(&mut self, path: &[usize]) -> Option<&mut Entity> {
        let Some((first, rest)) = path.split_first() else { return Some(self) };
        match &mut self.body {
            Body::Parts(parts) => match &mut parts.parts.get_mut(*first)?.1 {
                Part::Open(entity) => entity.find(rest),
                Part::Frozen(_) => None,
            },
            Body::Leaf(_) => None,
        }
    }

    /// The paths of all unsigned entities, this one first.
    pub(crate) fn paths(&self) -> Vec<Vec<usize>> {
        let mut paths = vec![Vec::new()];
        if let Body::Parts(parts) = &self.body {
            for (index, (_, part)) in parts.parts.iter().enumerate() {
                if let Part::Open(entity) = part {
                    paths.extend(entity.paths().into_iter().map(|path| [vec![index], path].concat()));
                }
            }
        }
        paths
    }

    pub(crate) fn parts(&mut self) -> Option<&mut Parts> {
        match &mut self.body {
            Body::Parts(parts) => Some(parts),
            Body::Leaf(_) => None,
        }
    }

    pub(crate) fn leaf(&mut self) -> Option<&mut Vec<u8>> {
        match &mut self.body {
            Body::Leaf(body) => Some(body),
            Body::Parts(_) => None,
        }
    }
}

impl Parts {
    fn parse(body: &[u8], boundary: &str, is_signed: bool) -> Parts {
        let delimiter = format!("--{boundary}");
        // Each boundary line with the line break before it.
        let mut lines = Vec::new();
        let mut start = 0;
        for line in body.split_inclusive(|octet| *octet == b'\n') {
            let text = String::from_utf8_lossy(line);
            let text = text.trim_end();
            if text == delimiter || text == format!("{delimiter}--") {
                let before = &body[..start];
                let before = before.strip_suffix(b"\n").map_or(before, |line| line.strip_suffix(b"\r").unwrap_or(line));
                lines.push((before.len(), start + line.len(), text.len() > delimiter.len()));
            }
            start += line.len();
        }
        let (last, _) = lines.split_last().filter(|(last, _)| last.2).expect("a multipart ends with its last boundary");
        let mut parts = Vec::new();
        for pair in lines.windows(2) {
            let (line, content) = (&body[pair[0].0..pair[0].1], &body[pair[0].1..pair[1].0]);
            let is_frozen = is_signed && parts.is_empty();
            let part = if is_frozen { Part::Frozen(content.to_vec()) } else { Part::Open(Entity::parse(content)) };
            parts.push((line.to_vec(), part));
        }
        Parts {
            boundary: boundary.to_owned(),
            preamble: body[..lines[0].0].to_vec(),
            parts,
            close: body[last.0..last.1].to_vec(),
            epilogue: body[last.1..].to_vec(),
        }
    }

    fn write(&self, octets: &mut Vec<u8>) {
        octets.extend_from_slice(&self.preamble);
        for (line, part) in &self.parts {
            octets.extend_from_slice(line);
            match part {
                Part::Frozen(content) => octets.extend_from_slice(content),
                Part::Open(entity) => octets.extend_from_slice(&entity.write()),
            }
        }
        octets.extend_from_slice(&self.close);
        octets.extend_from_slice(&self.epilogue);
    }
}
