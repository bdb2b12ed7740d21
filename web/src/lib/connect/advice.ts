import type { Vendor } from './vendors.ts'

/** What to do about a provider's refusal, or undefined where its own words say it all. */
export function advise(text: string, vendor: Vendor | undefined): string | undefined {
  if (/no credit|\(402\)/i.test(text)) return 'The key is right; the account behind it needs credit.'
  if (/key was refused|\(401\)|\(403\)/i.test(text)) {
    return vendor?.keysAt
      ? `Copy the whole key again, or make a new one at ${new URL(vendor.keysAt).host}.`
      : 'Copy the whole key again, or leave it out if the server needs none.'
  }
  if (/\(404\)|\(405\)|JSON/.test(text)) return 'Most addresses end in /v1.'
  if (
    /could not be reached|did not answer within/i.test(
      text,
    )
  ) {
    if (!vendor?.local) return 'Check that this server can reach the internet, and that the address is right.'
    const start = vendor.start ? `Start it: ${vendor.start}. ` : ''
    return `${start}The address is seen from the server: inside a container, the machine around it is mostly ` +
      'host.docker.internal.'
  }
  return undefined
}
