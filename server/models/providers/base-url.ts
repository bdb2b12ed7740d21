const LOCAL = /^(localhost|127\.|10\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.|\[|[^./]+(:|\/|$))/

/** The address as people write it, made absolute: without a scheme it is http for local hosts and https for others. */
function absolute(text: string): URL {
  const trimmed = text.trim()
  const url = new URL(
    /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `${LOCAL.test(trimmed) ? 'http' : 'https'}://${trimmed}`,
  )
  url.search = ''
  url.hash = ''
  return url
}

/**
 * The base of an OpenAI-compatible API, without a slash at its end. A bare host gets `/v1`, and so do the paths after
 * which vendors put it (`/api`, `/openai`); a full endpoint is cut back to its base. Throws `TypeError` for a non-URL.
 */
export function chatBase(text: string): string {
  const url = absolute(text)
  const path = url.pathname.replace(/\/+$/, '').replace(/\/(chat\/completions|completions|models)$/, '')
  return url.origin + (/^(\/api|(\/.+)?\/openai)?$/.test(path) && !/\/v\d/.test(path) ? `${path}/v1` : path)
}

/** The base of an Anthropic Messages API, ending in `/v1`. */
export function anthropicBase(text: string): string {
  const url = absolute(text)
  return url.origin + url.pathname.replace(/\/+$/, '').replace(/\/messages$/, '').replace(/\/v1$/, '') + '/v1'
}
