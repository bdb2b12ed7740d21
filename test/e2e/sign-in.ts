import type { Page } from '@playwright/test'
import assert from 'node:assert/strict'

/** The owner's token of the server under test. */
export const TOKEN = 'e2e-owner-0123456789abcdef'

/** Signs the page's browser in as the owner, without the login page. */
export async function signIn(page: Page, baseURL: string | undefined): Promise<void> {
  const response = await page.request.post('/api/auth/login', { data: { token: TOKEN }, headers: { origin: baseURL! } })
  assert.equal(response.status(), 200, await response.text())
}
