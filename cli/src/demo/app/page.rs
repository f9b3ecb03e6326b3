//! The shop's page as HTML. Whatever a service fails to give is said in its place, so that a fault
//! in one of them can be seen on the page.

use std::fmt::Write;

use serde_json::Value;

use super::{calls::CallError, productpage::TITLE};

pub(super) const STYLE: &str = "\
body{font-family:sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222}\
h1{font-weight:600}section{border-top:1px solid #ccc;padding:1rem 0}\
dt{font-weight:600;float:left;clear:left;width:8rem}dd{margin:0 0 .3rem 8rem}\
.black{color:#222}.red{color:#c00}.error{color:#c00;font-style:italic}header{text-align:right}";

pub(super) fn html(
    user: Option<&str>,
    details: &Result<Value, CallError>,
    reviews: &Result<Value, CallError>,
) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>{TITLE}</title>\
         <link rel=\"stylesheet\" href=\"/static/style.css\"></head>\n<body>\n"
    );
    sign_in(&mut page, user);
    page.push_str(&format!("<h1>{TITLE}</h1>\n<section>\n<h2>Details</h2>\n"));
    match details {
        Ok(details) => details_list(&mut page, details),
        Err(error) => refusal(&mut page, "details", error),
    }
    page.push_str("</section>\n<section>\n<h2>Reviews</h2>\n");
    match reviews {
        Ok(reviews) => reviews_list(&mut page, reviews),
        Err(error) => refusal(&mut page, "reviews", error),
    }
    page.push_str("</section>\n</body>\n</html>\n");
    page
}

fn sign_in(page: &mut String, user: Option<&str>) {
    let line = match user {
        Some(user) => format!(
            "<header>{} <a href=\"/logout\">sign out</a></header>\n",
            escape(user)
        ),
        None => "<header><form method=\"post\" action=\"/login\"><input name=\"username\" \
                 placeholder=\"user name\" required> <button>sign in</button></form></header>\n"
            .to_owned(),
    };
    page.push_str(&line);
}

fn details_list(page: &mut String, details: &Value) {
    page.push_str("<dl>\n");
    for (name, value) in details.as_object().into_iter().flatten() {
        if name != "id" {
            add(
                page,
                format_args!(
                    "<dt>{}</dt><dd>{}</dd>\n",
                    escape(name),
                    escape(&text(value))
                ),
            );
        }
    }
    page.push_str("</dl>\n");
}

fn reviews_list(page: &mut String, reviews: &Value) {
    for review in reviews["reviews"].as_array().into_iter().flatten() {
        add(
            page,
            format_args!("<blockquote>{}", escape(&text(&review["text"]))),
        );
        let rating = &review["rating"];
        if let Some(stars) = rating["stars"].as_u64() {
            let color = escape(&text(&rating["color"]));
            let filled = usize::try_from(stars.min(5)).unwrap_or(5);
            let row = "\u{2605}".repeat(filled) + &"\u{2606}".repeat(5 - filled);
            add(page, format_args!("<p class=\"{color}\">{row}</p>"));
        } else if let Some(error) = rating["error"].as_str() {
            add(
                page,
                format_args!("<p class=\"error\">{}</p>", escape(error)),
            );
        }
        add(
            page,
            format_args!(
                "<footer>{}</footer></blockquote>\n",
                escape(&text(&review["reviewer"]))
            ),
        );
    }
}

fn refusal(page: &mut String, name: &str, error: &CallError) {
    add(
        page,
        format_args!(
            "<p class=\"error\">{name} cannot be shown: {}</p>\n",
            escape(&error.to_string())
        ),
    );
}

fn add(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text)
        .expect("a String takes all that fits in memory");
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}
