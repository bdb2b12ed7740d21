import type { Scope } from '../../shared/auth.ts'
import type { AuthorizationRequest } from './authorization.ts'

/** A page with the headers that it needs. */
export type Page = { html: string; headers: Record<string, string> }

const WORDS: Record<Scope, string> = {
  read: 'Read conversations and notes',
  chat: 'Use tools and talk to the agent',
  admin: 'Everything: settings, keys, and saying yes to tools',
}

const DAYS = [[1, 'a day'], [30, '30 days'], [90, '90 days'], [365, 'a year']] as const

const STYLE =
  `:root{color-scheme:light dark;font:16px/1.5 system-ui,sans-serif;--line:color-mix(in srgb,CanvasText 30%,transparent)}
body{display:grid;place-items:center;min-height:100vh;margin:0;background:Canvas;color:CanvasText}
main{box-sizing:border-box;width:100%;max-width:30rem;padding:1.5rem}
h1{font-size:1.35rem;line-height:1.3;margin:0 0 .75rem;overflow-wrap:anywhere}
code{overflow-wrap:anywhere;font-size:.95em}
fieldset{border:1px solid var(--line);border-radius:.5rem;margin:1rem 0;padding:.75rem 1rem}
label{display:flex;gap:.6rem;align-items:baseline;padding:.3rem 0}
select,button{font:inherit;padding:.5rem .9rem;border-radius:.5rem;border:1px solid var(--line)}
.actions{display:flex;gap:.75rem;margin-top:1.25rem}
.actions button{flex:1;cursor:pointer}
button[value=allow]{background:#1d4ed8;border-color:#1d4ed8;color:#fff}
:focus-visible{outline:3px solid #60a5fa;outline-offset:2px}`

/** Asks the owner whether a client may come in. What the client says of itself is text. */
export function consentPage(request: AuthorizationRequest, name: string, query: string): Page {
  const { client, redirect_uri, scopes } = request
  const target = new URL(redirect_uri)
  const where = target.host || `${target.protocol.slice(0, -1)} (a program on your device)`
  const boxes = (Object.keys(WORDS) as Scope[]).map((scope) =>
    `<label><input type="checkbox" name="scope" value="${scope}"${
      scope !== 'admin' && scopes.includes(scope) ? ' checked' : ''
    }> <span>${WORDS[scope]}</span></label>`
  )
  const options = DAYS.map(([days, words]) =>
    `<option value="${days}"${days === 90 ? ' selected' : ''}>${words}</option>`
  )
  return page(
    `Let ${client.name} in?`,
    `<p>A program that calls itself <strong>${escape(client.name)}</strong> wants to use ${escape(name)}. ` +
      `Afterwards your browser goes to <code>${
        escape(where)
      }</code>. Go on only if you have just begun this there.</p>` +
      `<form method="post" action="?${escape(query)}"><fieldset><legend>It may</legend>${boxes.join('')}</fieldset>` +
      `<label for="days">For</label> <select id="days" name="days">${options.join('')}</select>` +
      '<p>You can end it at any time under Settings, Keys.</p><div class="actions">' +
      '<button name="decision" value="deny">No</button><button name="decision" value="allow">Let it in</button>' +
      '</div></form>',
    // The browser checks the address that a form leads to in the end, too. A policy can't name an IPv6 address.
    `form-action 'self' ${
      target.origin === 'null' || target.hostname.startsWith('[') ? target.protocol : target.origin
    }`,
  )
}

/** A page with a sentence or two. */
export const messagePage = (title: string, message: string): Page => page(title, `<p>${escape(message)}</p>`)

/**
 * A browser that comes from another site leaves our cookie out. From here it comes from us, and brings it; `next` is
 * the same address once more.
 */
export const returnPage = (next: string): Page =>
  page(
    'One moment',
    `<meta http-equiv="refresh" content="0;url=${escape(next)}"><p><a href="${escape(next)}">Go on</a></p>`,
  )

function page(title: string, content: string, formAction = "form-action 'none'"): Page {
  return {
    // Without its own policy the browser would not say that the form is sent from here.
    html: `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" ` +
      `content="width=device-width,initial-scale=1"><meta name="referrer" content="same-origin"><title>${
        escape(title)
      }` +
      `</title><style>${STYLE}</style></head><body><main><h1>${escape(title)}</h1>${content}</main></body></html>`,
    headers: {
      'content-security-policy':
        `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; ${formAction}`,
      'cache-control': 'no-store',
    },
  }
}

const escape = (plain: string): string => plain.replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`)
