//! Scripts: the Lua of Redis, in which a command is called and its answer is read as there.

use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value};

use super::keys::{Answer, Text};

/// A script that is known, and where it runs.
#[derive(Debug)]
pub struct Script {
    lua: Lua,
    body: Function,
}

impl Script {
    /// Reads a script, whose commands are carried out by `call`.
    ///
    /// # Errors
    /// What Lua has to say about it.
    pub fn read(source: &str, call: impl Fn(&[Text]) -> Answer + Clone + 'static) -> Result<Self, String> {
        let make = || {
            let lua = Lua::new_with(StdLib::TABLE | StdLib::STRING | StdLib::MATH, LuaOptions::default())?;
            let globals = lua.globals();
            // An order that Lua does not promise, and so no script may lean on.
            for name in ["pairs", "next"] {
                globals.raw_remove(name)?;
            }
            let redis = lua.create_table()?;
            for (name, raises) in [("call", true), ("pcall", false)] {
                let carry_out = call.clone();
                let call = lua.create_function(move |lua, args: MultiValue| {
                    let args: Result<Vec<Text>, String> = args.iter().map(argument).collect();
                    let answer = args.map_or_else(Answer::Error, |args| carry_out(&args));
                    match answer {
                        Answer::Error(why) if raises => Err(mlua::Error::RuntimeError(why)),
                        answer => value(lua, answer),
                    }
                })?;
                redis.set(name, call)?;
            }
            globals.set("redis", redis)?;
            let body = lua.load(source).set_name("@user_script").into_function()?;
            // As in Redis, what a script makes is its own.
            let meta = lua.create_table()?;
            let strict = lua.create_function(|_, (_, name): (Value, String)| -> mlua::Result<()> {
                Err(mlua::Error::RuntimeError(format!(
                    "Script attempted to access nonexistent global variable '{name}'"
                )))
            })?;
            meta.set("__newindex", &strict)?;
            meta.set("__index", strict)?;
            globals.set_metatable(Some(meta))?;
            Ok(Self { lua, body })
        };
        make().map_err(|error: mlua::Error| error.to_string())
    }

    /// Runs it with these arguments.
    pub fn run(&self, keys: &[Text], args: &[Text]) -> Answer {
        let run = || {
            let globals = self.lua.globals();
            for (name, texts) in [("KEYS", keys), ("ARGV", args)] {
                let texts = texts.iter().map(|text| self.lua.create_string(text)).collect::<mlua::Result<Vec<_>>>()?;
                globals.raw_set(name, self.lua.create_sequence_from(texts)?)?;
            }
            answer(self.body.call::<Value>(())?)
        };
        run().unwrap_or_else(|error| Answer::Error(words(&error)))
    }
}

/// What a command is called with.
fn argument(value: &Value) -> Result<Text, String> {
    match value {
        Value::String(text) => Ok(text.as_bytes().to_vec()),
        Value::Integer(number) => Ok(number.to_string().into()),
        Value::Number(number) if number.fract() == 0.0 && number.abs() < 1e15 => Ok(format!("{number:.0}").into()),
        Value::Number(number) => Ok(number.to_string().into()),
        _ => Err("ERR Lua redis lib command arguments must be strings or integers".into()),
    }
}

/// An answer as the script sees it.
fn value(lua: &Lua, answer: Answer) -> mlua::Result<Value> {
    let named = |name: &str, text: &str| -> mlua::Result<Value> {
        let table = lua.create_table()?;
        table.set(name, text)?;
        Ok(Value::Table(table))
    };
    Ok(match answer {
        Answer::Nil => Value::Boolean(false),
        Answer::Number(number) => Value::Number(number as f64),
        Answer::Text(text) => Value::String(lua.create_string(text)?),
        Answer::Status(text) => named("ok", text)?,
        Answer::Error(why) => named("err", &why)?,
        Answer::List(list) => {
            let list = list.into_iter().map(|answer| value(lua, answer)).collect::<mlua::Result<Vec<_>>>()?;
            Value::Table(lua.create_sequence_from(list)?)
        }
    })
}

/// What a script returns as the one who has called it sees it.
fn answer(value: Value) -> mlua::Result<Answer> {
    Ok(match value {
        Value::String(text) => Answer::Text(text.as_bytes().to_vec()),
        Value::Integer(number) => Answer::Number(number),
        // The part behind the point is cut off.
        Value::Number(number) => Answer::Number(number as i64),
        Value::Boolean(true) => Answer::Number(1),
        Value::Table(table) => of_table(&table)?,
        _ => Answer::Nil,
    })
}

fn of_table(table: &Table) -> mlua::Result<Answer> {
    if let Value::String(why) = table.raw_get("err")? {
        return Ok(Answer::Error(why.to_string_lossy()));
    }
    let mut list = Vec::new();
    // A list ends before its first hole.
    for at in 1.. {
        match table.raw_get(at)? {
            Value::Nil => break,
            value => list.push(answer(value)?),
        }
    }
    Ok(Answer::List(list))
}

/// The innermost cause, in one line.
fn words(error: &mlua::Error) -> String {
    let mut error = error;
    while let mlua::Error::CallbackError { cause, .. } | mlua::Error::WithContext { cause, .. } = error {
        error = cause;
    }
    let text = match error {
        mlua::Error::RuntimeError(why) => why.clone(),
        other => other.to_string(),
    };
    text.lines().next().unwrap_or_default().to_owned()
}
