//! What a message to a recipient without a key says to its reader: the texts beside the sealed page, in one or more languages.

use std::{fmt, sync::Arc};

/// The texts of a page and of the message that brings it, in the order in which they are shown.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageTexts(Arc<[PageLanguage]>);

/// The texts in one language.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PageLanguage {
    /// The language (BCP 47): `en`.
    pub code: String,
    /// Each of [`PageText::ALL`], in that order.
    texts: Vec<String>,
}

/// One text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageText {
    /// The text of the message that brings the page.
    Mail,
    /// The title of the page.
    Title,
    /// What the reader has to do.
    Instructions,
    /// The name of the field for the passphrase.
    Passphrase,
    /// The button.
    Open,
    /// While the page is opened.
    Opening,
    /// The passphrase is wrong, or the page was changed.
    Refused,
    /// The browser cannot open the page.
    Unsupported,
    /// Above the files.
    Files,
}

impl PageText {
    /// All, in order.
    pub const ALL: [PageText; 9] = [
        PageText::Mail,
        PageText::Title,
        PageText::Instructions,
        PageText::Passphrase,
        PageText::Open,
        PageText::Opening,
        PageText::Refused,
        PageText::Unsupported,
        PageText::Files,
    ];

    /// The key in the file with the texts.
    pub fn name(self) -> &'static str {
        match self {
            PageText::Mail => "mail",
            PageText::Title => "title",
            PageText::Instructions => "instructions",
            PageText::Passphrase => "passphrase",
            PageText::Open => "open",
            PageText::Opening => "opening",
            PageText::Refused => "refused",
            PageText::Unsupported => "unsupported",
            PageText::Files => "files",
        }
    }
}

impl PageLanguage {
    /// The language with this code, with `text` for each of the texts; `None` when it has none for one of them.
    pub fn new(code: &str, text: impl FnMut(PageText) -> Option<String>) -> Option<PageLanguage> {
        let texts = PageText::ALL.into_iter().map(text).collect::<Option<Vec<String>>>()?;
        Some(PageLanguage { code: code.to_owned(), texts })
    }

    /// A language that is known here: `en`, `de` or `fr`.
    pub fn known(code: &str) -> Option<PageLanguage> {
        let (_, texts) = KNOWN.iter().find(|(known, _)| *known == code)?;
        Some(PageLanguage { code: code.to_owned(), texts: texts.iter().map(|text| (*text).to_owned()).collect() })
    }

    /// The codes of the languages that are known here.
    pub fn codes() -> impl Iterator<Item = &'static str> {
        KNOWN.iter().map(|(code, _)| *code)
    }

    /// One of its texts.
    pub fn text(&self, which: PageText) -> &str {
        let named = PageText::ALL.iter().zip(&self.texts).find(|(one, _)| **one == which);
        named.map_or("", |(_, text)| text)
    }
}

impl PageTexts {
    /// These languages.
    pub fn new(languages: Vec<PageLanguage>) -> PageTexts {
        PageTexts(languages.into())
    }

    /// The languages in order.
    pub fn languages(&self) -> &[PageLanguage] {
        &self.0
    }
}

impl Default for PageTexts {
    /// English and German.
    fn default() -> Self {
        PageTexts::new(["en", "de"].into_iter().filter_map(PageLanguage::known).collect())
    }
}

impl fmt::Display for PageTexts {
    /// The codes: `en, de`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let codes: Vec<&str> = self.0.iter().map(|language| language.code.as_str()).collect();
        f.write_str(&codes.join(", "))
    }
}

const KNOWN: [(&str, [&str; PageText::ALL.len()]); 3] = [
    (
        "en",
        [
            "{from} sent you an encrypted message. It is in the attached file message.html.\n\n\
             1. Save the file message.html.\n\
             2. Open it in a web browser. It needs no connection to the internet.\n\
             3. Type the passphrase that the sender told you.\n\n\
             The passphrase is in no mail. If you do not know it, ask the sender, for example by telephone. \
             Do not type it anywhere else, and do not send it by mail. A reply to this mail is not encrypted.",
            "Encrypted message",
            "Type the passphrase that the sender of this message told you. The message is opened in this browser. Nothing is sent.",
            "Passphrase",
            "Open the message",
            "The message is being opened.",
            "The message cannot be opened: the passphrase is wrong, or the file was changed.",
            "This program cannot open the message. Save this file, and open it in a current version of Firefox, Chrome, Edge or Safari.",
            "Files",
        ],
    ),
    (
        "de",
        [
            "{from} hat Ihnen eine verschl\u{fc}sselte Nachricht geschickt. Sie steht in der angeh\u{e4}ngten Datei message.html.\n\n\
             1. Speichern Sie die Datei message.html.\n\
             2. \u{d6}ffnen Sie sie in einem Webbrowser. Eine Verbindung zum Internet ist nicht n\u{f6}tig.\n\
             3. Geben Sie das Passwort ein, das Ihnen der Absender genannt hat.\n\n\
             Das Passwort steht in keiner Mail. Wenn Sie es nicht kennen, fragen Sie den Absender, zum Beispiel am Telefon. \
             Geben Sie es nirgends sonst ein, und schicken Sie es nicht per Mail. Eine Antwort auf diese Mail ist nicht verschl\u{fc}sselt.",
            "Verschl\u{fc}sselte Nachricht",
            "Geben Sie das Passwort ein, das Ihnen der Absender dieser Nachricht genannt hat. Die Nachricht wird in diesem Browser ge\u{f6}ffnet. Es wird nichts gesendet.",
            "Passwort",
            "Nachricht \u{f6}ffnen",
            "Die Nachricht wird ge\u{f6}ffnet.",
            "Die Nachricht l\u{e4}sst sich nicht \u{f6}ffnen: Das Passwort ist falsch, oder die Datei wurde ver\u{e4}ndert.",
            "Dieses Programm kann die Nachricht nicht \u{f6}ffnen. Speichern Sie diese Datei, und \u{f6}ffnen Sie sie mit einem aktuellen Firefox, Chrome, Edge oder Safari.",
            "Dateien",
        ],
    ),
    (
        "fr",
        [
            "{from} vous a envoy\u{e9} un message chiffr\u{e9}. Il se trouve dans le fichier joint message.html.\n\n\
             1. Enregistrez le fichier message.html.\n\
             2. Ouvrez-le dans un navigateur web. Aucune connexion \u{e0} Internet n'est n\u{e9}cessaire.\n\
             3. Saisissez le mot de passe que l'exp\u{e9}diteur vous a communiqu\u{e9}.\n\n\
             Le mot de passe ne figure dans aucun courriel. Si vous ne le connaissez pas, demandez-le \u{e0} l'exp\u{e9}diteur, par exemple par t\u{e9}l\u{e9}phone. \
             Ne le saisissez nulle part ailleurs et ne l'envoyez pas par courriel. Une r\u{e9}ponse \u{e0} ce courriel n'est pas chiffr\u{e9}e.",
            "Message chiffr\u{e9}",
            "Saisissez le mot de passe que l'exp\u{e9}diteur de ce message vous a communiqu\u{e9}. Le message est ouvert dans ce navigateur. Rien n'est envoy\u{e9}.",
            "Mot de passe",
            "Ouvrir le message",
            "Ouverture du message en cours.",
            "Le message ne peut pas \u{ea}tre ouvert : le mot de passe est faux, ou le fichier a \u{e9}t\u{e9} modifi\u{e9}.",
            "Ce programme ne peut pas ouvrir le message. Enregistrez ce fichier et ouvrez-le avec une version r\u{e9}cente de Firefox, Chrome, Edge ou Safari.",
            "Fichiers",
        ],
    ),
];
