//! An operation: its path, parameters, body and answers.

use serde_json::Value;

use super::fields;
use super::prose::{escaped, line, paragraphs, path};

/// An operation as an article. References to parameters, answers and examples are looked up in the document.
pub(super) fn article(document: &Value, template: &str, method: &str, operation: &Value) -> String {
    let text = |key: &str| operation[key].as_str().unwrap_or_default();
    let method = escaped(method);
    let lock = if operation["security"].as_array().is_some_and(Vec::is_empty) {
        "<p class=\"open\">No credentials.</p>\n"
    } else {
        ""
    };
    format!(
        "<article id=\"{id}\">\n<h3>{title} <a class=\"anchor\" href=\"#{id}\" aria-label=\"Link to this call\">#</a></h3>\n\
         <p class=\"path\"><span class=\"method {method}\">{method}</span> <code>{path}</code></p>\n{about}{lock}{parameters}{body}{answers}</article>\n",
        id = escaped(text("operationId")),
        title = line(text("summary")),
        path = path(template),
        about = paragraphs(text("description")),
        parameters = parameters(document, operation),
        body = body(document, &operation["requestBody"]),
        answers = answers(document, &operation["responses"]),
    )
}

/// What a reference stands for; the value itself where it is none.
fn resolved<'a>(document: &'a Value, value: &'a Value) -> &'a Value {
    let pointer = value["$ref"].as_str().and_then(|reference| reference.strip_prefix('#'));
    pointer.and_then(|pointer| document.pointer(pointer)).unwrap_or(value)
}

fn parameters(document: &Value, operation: &Value) -> String {
    let parameters: Vec<&Value> =
        operation["parameters"].as_array().into_iter().flatten().map(|one| resolved(document, one)).collect();
    if parameters.is_empty() {
        return String::new();
    }
    let mut html = String::from("<h4>Parameters</h4>\n<dl class=\"fields\">\n");
    for parameter in parameters {
        let text = |key: &str| parameter[key].as_str().unwrap_or_default();
        let optional = if parameter["required"] == true { "" } else { " <span class=\"may\">may be left out</span>" };
        html.push_str(&format!(
            "<dt><code>{}</code> <span class=\"kind\">{}, {}</span>{optional}</dt>\n<dd><p>{}</p></dd>\n",
            escaped(text("name")),
            escaped(text("in")),
            fields::kind(&parameter["schema"]),
            line(text("description")),
        ));
    }
    html.push_str("</dl>\n");
    html
}

fn body(document: &Value, body: &Value) -> String {
    let content = &body["content"]["application/json"];
    if content.is_null() {
        return String::new();
    }
    let (kind, examples) = (fields::kind(&content["schema"]), examples(document, content));
    format!("<h4>Body</h4>\n<p>{kind}</p>\n{examples}")
}

fn answers(document: &Value, responses: &Value) -> String {
    let mut html = String::from("<h4>Answers</h4>\n");
    for (status, response) in responses.as_object().into_iter().flatten() {
        let response = resolved(document, response);
        let about = line(response["description"].as_str().unwrap_or_default());
        let headers: Vec<String> =
            response["headers"].as_object().into_iter().flatten().map(|(name, _)| escaped(name)).collect();
        let sent = if headers.is_empty() {
            String::new()
        } else {
            format!("<p class=\"sent\">Headers: {}</p>\n", headers.join(", "))
        };
        let content = response["content"].as_object().into_iter().flatten();
        let told: String = content
            .map(|(media, content)| {
                format!(
                    "<p>{} <span class=\"kind\">{}</span></p>\n{}",
                    fields::kind(&content["schema"]),
                    escaped(media),
                    examples(document, content)
                )
            })
            .collect();
        html.push_str(&format!(
            "<details class=\"answer s{}\"><summary><span class=\"status\">{}</span> {about}</summary>\n{told}{sent}</details>\n",
            escaped(status.get(..1).unwrap_or_default()),
            escaped(status),
        ));
    }
    html
}

fn examples(document: &Value, content: &Value) -> String {
    let one = content.get("example").map(|value| ("example", value));
    let many = content["examples"].as_object().into_iter().flatten();
    let many = many.map(|(name, example)| (name.as_str(), &resolved(document, example)["value"]));
    one.into_iter().chain(many).map(|(name, value)| example(name, value)).collect()
}

/// Code and reason tell refusals apart, so they stand beside the name.
fn example(name: &str, value: &Value) -> String {
    let code =
        value["code"].as_u64().map(|code| format!(" <span class=\"kind\">code {code}</span>")).unwrap_or_default();
    let text = match value {
        Value::String(text) => text.clone(),
        other => format!("{other:#}"),
    };
    let (name, text) = (escaped(&name.replace('_', " ")), escaped(&text));
    format!("<details class=\"example\"><summary>{name}{code}</summary>\n<pre tabindex=\"0\">{text}</pre></details>\n")
}
