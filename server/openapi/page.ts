import { html } from 'hono/html'
import { answerSchema, type JsonSchema } from './answers.ts'
import type { Document, Operation, Parameter, Response } from './document.ts'
import { sampleOf } from './sample.ts'

type Html = ReturnType<typeof html>
type Entry = { method: string; path: string; operation: Operation }

/** What the examples expect. */
const SHELL = 'export GATEHOUSE_URL=http://localhost:8765\nexport GATEHOUSE_TOKEN=…'

/** The whole reference as one page that works without scripts; `docs.js` adds the search. */
export function docsPage(document: Document): Html {
  const groups = document.tags.map(({ name }) => ({ name, entries: entriesOf(document, name) }))
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>${document.info.title} API</title>
        <link rel="icon" href="favicon.svg">
        <link rel="stylesheet" href="docs/docs.css">
        <script src="docs/docs.js" defer></script>
      </head>
      <body>
        <a class="skip" href="#reference">Skip to the reference</a>
        <header>
          <h1>${document.info.title} API <small>${document.info.version}</small></h1>
          <search>
            <label class="hidden" for="search">Search the operations</label>
            <input id="search" type="search" placeholder="Search: method, path, words" autocomplete="off" spellcheck="false"
              disabled>
            <kbd>/</kbd>
          </search>
          <p class="files">OpenAPI <a href="openapi.json">JSON</a> <a href="openapi.yaml">YAML</a></p>
        </header>
        <div class="columns">
          <nav aria-label="Groups of operations">
            <ul>
        ${groups.map(({ name, entries }) =>
          html`<li><a href="#${name}">${name} <small>${entries.length}</small></a></li>`
        )}
        <li><a href="#schemas">schemas</a></li>
      </ul>
          </nav>
          <main id="reference" tabindex="-1">
      <section class="intro">
        <p>${prose(document.info.description)}</p>
        <p>Send an API key with every request. The examples read two variables of the shell:</p>
        <pre tabindex="0"><code>${SHELL}</code></pre>
        <p>A key has scopes: <code>read</code> looks, <code>chat</code> talks, <code>admin</code> does everything. Without
        a valid key the answer is 401, without the scope 403.</p>
        <p class="keys"><kbd>/</kbd> searches, <kbd>↓</kbd> <kbd>↑</kbd> move between operations, <kbd>Enter</kbd> opens
        one, <kbd>Esc</kbd> clears the search.</p>
      </section>
      <p id="count" role="status" class="hidden"></p>
      <p id="nothing" hidden>No operation fits. Try a word of its path or summary.</p>
      ${groups.map(groupSection)}
      <section id="schemas">
        <h2>Schemas</h2>
        ${Object.entries(document.components.schemas).map(([name, schema]) => schemaBlock(name, schema))}
      </section>
          </main>
        </div>
      </body>
    </html>
  `
}

function entriesOf(document: Document, tag: string): Entry[] {
  return Object.entries(document.paths).flatMap(([path, place]) =>
    Object.entries(place).filter(([, operation]) => operation.tags.includes(tag)).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation,
    }))
  )
}

const groupSection = ({ name, entries }: { name: string; entries: Entry[] }): Html =>
  html`<section class="group" id="${name}"><h2>${name}</h2>${entries.map(operationBlock)}</section>`

function operationBlock({ method, path, operation }: Entry): Html {
  const { operationId, summary, description, parameters, requestBody, responses } = operation
  const scope = operation['x-scope']
  return html`
    <details class="operation" id="${operationId}">
      <summary><span class="method ${method.toLowerCase()}">${method}</span> <code class="path">${path}</code>
    <span class="summary">${summary}</span></summary>
      <div class="body">
      <p class="facts">Scope <code>${scope}</code> · <code>${operationId}</code> · <a href="#${operationId}">link</a></p>
      ${description ? html`<p>${prose(description)}</p>` : ''}
      ${parameters.length > 0 ? parameterTable(parameters) : ''}
      ${requestBody
        ? Object.entries(requestBody.content).map(([media, { schema }]) =>
          html`<h3>Body <small>${media}</small></h3>${fields(schema)}`
        )
        : ''}
      <h3>Answers</h3>
      <table class="answers"><thead><tr><th>Status</th><th>What</th></tr></thead><tbody>
      ${Object.entries(responses).map(([status, response]) => answerRow(status, response))}
      </tbody></table>
      <h3>Example</h3>
      <pre tabindex="0"><code>${curl(method, path, operation)}</code></pre>
      </div>
    </details>
  `
}

const parameterTable = (parameters: Parameter[]): Html =>
  html`
    <h3>Parameters</h3>
    <table>
      <thead>
        <tr>
          <th>Name</th>
          <th>In</th>
          <th>Type</th>
          <th>About</th>
        </tr>
      </thead>
      <tbody>
    ${parameters.map(({ name, in: place, required, schema, description = '' }) =>
      html`
        <tr>
          <td><code>${name}</code>${required
            ? html`
              <em>required</em>
            `
            : ''}</td>
          <td>${place}</td>
          <td>${typeOf(schema)}</td>
          <td>${prose(description)} ${limits(schema)}</td>
        </tr>
      `
    )}
      </tbody>
    </table>
  `

function answerRow(status: string, { description, content = {} }: Response): Html {
  // Words that are a shape would only say again what the type says.
  const shape = Object.keys(content).length > 0 && answerSchema(description)
  return html`
    <tr>
      <td><code>${status}</code></td>
      <td>${shape ? '' : prose(description)}
    ${Object.entries(content).map(([media, { schema }]) =>
      media === 'application/problem+json'
        ? html`
          <a href="#schema-Problem">Problem</a>
        `
        : html`
          <small>${media}</small> ${Object.keys(schema).length > 0 && media !== 'text/plain' ? typeOf(schema) : ''}
        `
    )}</td>
    </tr>
  `
}

const schemaBlock = (name: string, schema: JsonSchema): Html =>
  html`
    <details class="schema" id="schema-${name}">
      <summary><code>${name}</code></summary>
      <div class="body">${fields(schema)}</div>
    </details>
  `

/** The fields of an object, or of each kind of object. */
function fields(schema: JsonSchema): Html {
  const kinds = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined
  if (kinds) return html`${kinds.map((kind) => html`<div class="kind">${fields(kind)}</div>`)}`
  const properties = schema.properties as Record<string, JsonSchema> | undefined
  if (!properties) return html`<p>${typeOf(schema)} ${limits(schema)}</p>`
  const required = (schema.required ?? []) as string[]
  return html`
    <table>
      <thead>
        <tr>
          <th>Field</th>
          <th>Type</th>
          <th>About</th>
        </tr>
      </thead>
      <tbody>
    ${Object.entries(properties).map(([name, field]) =>
      html`
        <tr>
          <td><code>${name}</code>${required.includes(name)
            ? html`
              <em>required</em>
            `
            : ''}</td>
          <td>${typeOf(field)}</td>
          <td>${prose(String(field.description ?? ''))} ${limits(field)}</td>
        </tr>
      `
    )}
      </tbody>
    </table>
  `
}

/** A type in a few words; names of schemas are links. */
function typeOf(schema: JsonSchema, depth = 0): Html {
  if (typeof schema.$ref === 'string') {
    const name = schema.$ref.split('/').at(-1)!
    return html`<a href="#schema-${name}">${name}</a>`
  }
  if ('const' in schema) return html`<code>${JSON.stringify(schema.const)}</code>`
  if (Array.isArray(schema.enum)) {
    return html`${schema.enum.map((value, i) => html`${i > 0 ? ' | ' : ''}<code>${JSON.stringify(value)}</code>`)}`
  }
  const choices = (schema.anyOf ?? schema.oneOf) as JsonSchema[] | undefined
  if (choices) return html`${choices.map((choice, i) => html`${i > 0 ? ' | ' : ''}${typeOf(choice, depth + 1)}`)}`
  if (schema.type === 'array') return html`list of ${typeOf((schema.items ?? {}) as JsonSchema, depth + 1)}`
  const properties = schema.properties as Record<string, JsonSchema> | undefined
  if (properties && depth < 2) {
    return html`{ ${
      Object.entries(properties).map(([name, field], i) =>
        html`${i > 0 ? ', ' : ''}${name}${Object.keys(field).length > 0 ? html`: ${typeOf(field, depth + 1)}` : ''}`
      )
    } }`
  }
  if (schema.type === undefined) return html`any`
  return html`${Array.isArray(schema.type) ? schema.type.join(' | ') : String(schema.type)}`
}

const LIMITS = { minLength: 'at least', maxLength: 'at most', minimum: 'from', maximum: 'to', default: 'default' }

function limits(schema: JsonSchema): Html {
  const said = Object.entries(LIMITS).filter(([key]) => schema[key] !== undefined).map(([key, word]) =>
    `${word} ${JSON.stringify(schema[key])}${key.endsWith('Length') ? ' characters' : ''}`
  )
  return html`${said.length > 0 ? html`<small>${said.join(', ')}</small>` : ''}`
}

/** Words in back quotes as code. */
const prose = (text: string): Html =>
  html`${text.split('`').map((part, i) => i % 2 === 1 ? html`<code>${part}</code>` : part)}`

function curl(method: string, path: string, { parameters, requestBody, responses, security }: Operation): string {
  const query = parameters.filter((parameter) => parameter.in === 'query' && parameter.required)
    .map(({ name, schema }) => `${name}=${String(sampleOf(schema, name))}`).join('&')
  const address = `$GATEHOUSE_URL${path.replace(/\{(\w+)\}/g, (_, name: string) => name.toUpperCase())}`
  const lines = [`curl ${method === 'GET' ? '' : `-X ${method} `}"${address}${query ? `?${query}` : ''}"`]
  const streams = Object.values(responses).some(({ content }) => content && 'text/event-stream' in content)
  if (streams) lines[0] = lines[0]!.replace('curl ', 'curl -N ')
  if (security.length > 0) lines.push('-H "Authorization: Bearer $GATEHOUSE_TOKEN"')
  const json = requestBody?.content['application/json']
  if (json) {
    lines.push(`-H 'content-type: application/json'`)
    lines.push(`-d '${JSON.stringify(sampleOf(json.schema)).replaceAll(`'`, `'\\''`)}'`)
  } else if (requestBody) lines.push('-F file=@FILE')
  return lines.join(' \\\n  ')
}
