//! What letters say.

use std::str::FromStr;

use catalog::Member;

/// What letters are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    En,
    /// Brazilian Portuguese.
    PtBr,
}

impl FromStr for Language {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "en" => Ok(Self::En),
            "pt-BR" => Ok(Self::PtBr),
            other => Err(format!("{other:?} is unknown; give \"en\" or \"pt-BR\"")),
        }
    }
}

/// What there is to say to somebody whose address is to be confirmed.
pub(super) struct Asking<'a> {
    pub(super) member: &'a Member,
    pub(super) link: &'a str,
    pub(super) dashboard: Option<&'a str>,
    /// For how long the link is good.
    pub(super) days: i64,
}

impl Language {
    /// Subject and text. Lines with names may be long: mail programs fold them, and a link must stay whole.
    pub(super) fn asks(self, asking: &Asking<'_>) -> (String, String) {
        let Asking { member, link, dashboard, days } = asking;
        let (name, tenant) = (&member.name, &member.tenant_name);
        match self {
            Self::En => {
                let later = dashboard.map_or_else(String::new, |url| format!("{tenant} is then at\n\n{url}\n\n"));
                let text = format!(
                    "Hello {name},\n\n{tenant} is ready, and you look after it. Please confirm that this address is yours:\n\n\
                     {link}\n\nThe link is good for {days} days. {later}If you do not know {tenant}, ignore this letter.\n"
                );
                (format!("Confirm your address for {tenant}"), text)
            }
            Self::PtBr => {
                let later =
                    dashboard.map_or_else(String::new, |url| format!("Depois, {tenant} estará em\n\n{url}\n\n"));
                let text = format!(
                    "Olá {name},\n\n{tenant} está pronto, e você é responsável por ele. Confirme que este endereço é seu:\n\n\
                     {link}\n\nO link vale por {days} dias. {later}Se você não conhece {tenant}, ignore esta mensagem.\n"
                );
                (format!("Confirme seu endereço para {tenant}"), text)
            }
        }
    }
}
