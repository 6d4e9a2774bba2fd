//! The whole page: contents at the side, operations by tag, shapes at the end.

use serde_json::Value;

use super::fields;
use super::operations::article;
use super::prose::{escaped, line, paragraphs};

/// The document as HTML.
pub(super) fn render(document: &Value) -> String {
    let info = |key: &str| document["info"][key].as_str().unwrap_or_default();
    let title = escaped(info("title"));
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>{title}: REST API</title>\n\
         <link rel=\"icon\" href=\"data:,\">\n<link rel=\"stylesheet\" href=\"docs/reference.css\">\n</head>\n<body>\n\
         <a class=\"skip\" href=\"#content\">To the content</a>\n{contents}\n<main id=\"content\">\n\
         <header>\n<h1>{title} <span class=\"version\">{version}</span></h1>\n{about}\
         <p>The same for programs: <a href=\"openapi.json\">openapi.json</a> (OpenAPI 3.1).</p>\n</header>\n\
         {operations}{shapes}</main>\n</body>\n</html>\n",
        contents = contents(document),
        version = escaped(info("version")),
        about = paragraphs(info("description")),
        operations = sections(document),
        shapes = shapes(document),
    )
}

/// Path, method and operation of each operation with this tag.
fn of_tag<'a>(document: &'a Value, tag: &'a str) -> impl Iterator<Item = (&'a str, &'a str, &'a Value)> {
    let paths = document["paths"].as_object().into_iter().flatten();
    let all = paths.flat_map(|(path, item)| {
        let methods = item.as_object().into_iter().flatten();
        methods.map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
    });
    all.filter(move |(_, _, operation)| operation["tags"][0] == tag)
}

fn tags(document: &Value) -> impl Iterator<Item = (&str, &str)> {
    let tags = document["tags"].as_array().into_iter().flatten();
    tags.map(|tag| (tag["name"].as_str().unwrap_or_default(), tag["description"].as_str().unwrap_or_default()))
}

fn contents(document: &Value) -> String {
    let mut html = String::from("<nav aria-label=\"Contents\">\n");
    for (tag, _) in tags(document) {
        html.push_str(&format!("<details open><summary>{}</summary>\n<ul>\n", escaped(tag)));
        for (_, method, operation) in of_tag(document, tag) {
            let text = |key: &str| escaped(operation[key].as_str().unwrap_or_default());
            html.push_str(&format!(
                "<li><a href=\"#{}\"><span class=\"method {method}\">{method}</span> {}</a></li>\n",
                text("operationId"),
                text("summary"),
                method = escaped(method),
            ));
        }
        html.push_str("</ul></details>\n");
    }
    html.push_str("<p><a href=\"#shapes\">Shapes</a></p>\n</nav>");
    html
}

fn sections(document: &Value) -> String {
    let mut html = String::new();
    for (tag, about) in tags(document) {
        let articles: String =
            of_tag(document, tag).map(|(path, method, operation)| article(document, path, method, operation)).collect();
        html.push_str(&format!("<section>\n<h2>{}</h2>\n<p>{}</p>\n{articles}</section>\n", escaped(tag), line(about)));
    }
    html
}

fn shapes(document: &Value) -> String {
    let shapes = document["components"]["schemas"].as_object().into_iter().flatten();
    let told: String = shapes
        .map(|(name, schema)| {
            let name = escaped(name);
            let about = paragraphs(schema["description"].as_str().unwrap_or_default());
            let fields = fields::list(schema);
            let kind = if fields.is_empty() { format!("<p>{}</p>\n", fields::kind(schema)) } else { String::new() };
            format!("<article id=\"shape-{name}\">\n<h3>{name}</h3>\n{about}{kind}{fields}</article>\n")
        })
        .collect();
    format!("<section>\n<h2 id=\"shapes\">Shapes</h2>\n<p>What bodies look like.</p>\n{told}</section>\n")
}
