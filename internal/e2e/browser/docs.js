// Opens the documentation page of a running server in Chromium and uses it as a person would:
// authorizes with a key, tries the list of requests, and sees the answer 200. Meanwhile it watches
// for what a person would not see: a request to another host, a violation of the page's
// Content-Security-Policy, an error on the console.
//
//   node docs.js CHROMIUM URL EXCHANGE KEY SCREENSHOT

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const [executablePath, url, exchange, key, screenshot] = process.argv.slice(2)
if (!screenshot) {
  console.error('usage: node docs.js CHROMIUM URL EXCHANGE KEY SCREENSHOT')
  process.exit(2)
}

// Chromium itself must stay as quiet as the page: no updates, no sync, no first-run pages.
const args = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
]

const faults = []
const profile = await mkdtemp(join(tmpdir(), 'mess-exchange-chromium-'))
const browser = await chromium.launchPersistentContext(profile, {
  executablePath, args, viewport: { width: 1280, height: 1400 },
})
try {
  await watch(browser)
  const page = await browser.newPage()
  page.setDefaultTimeout(30_000)
  await page.goto(url + '/docs')
  await authorize(page)
  await tryList(page)
  await page.screenshot({ path: screenshot })
} catch (error) {
  faults.push(error.message)
} finally {
  await browser.close()
  await rm(profile, { recursive: true, force: true })
}
for (const fault of faults) console.error(fault)
process.exit(faults.length ? 1 : 0)

async function watch(browser) {
  browser.on('request', request => {
    const { protocol, origin } = new URL(request.url())
    if (protocol !== 'data:' && protocol !== 'blob:' && origin !== url) faults.push(`request to another host: ${request.url()}`)
  })
  browser.on('response', response => {
    if (response.status() >= 400) faults.push(`${response.status()} ${response.url()}`)
  })
  browser.on('console', message => {
    if (message.type() === 'error') faults.push(`console: ${message.text()}`)
  })
  browser.on('weberror', error => faults.push(`script: ${error.error().message}`))
  await browser.exposeFunction('reportViolation', violation => faults.push(`Content-Security-Policy: ${violation}`))
  await browser.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', e => window.reportViolation(`${e.violatedDirective} blocked ${e.blockedURI}`))
  })
}

// authorize puts the key into the dialog behind the Authorize button, which asks for the registration token too.
async function authorize(page) {
  await page.locator('.auth-wrapper .btn.authorize').click()
  const dialog = page.locator('.dialog-ux')
  const part = dialog.locator('.auth-container').filter({ has: page.locator('#auth-bearer-value') })
  await part.locator('#auth-bearer-value').fill(key)
  await part.locator('button[type=submit]').click()
  await dialog.getByText('Authorized', { exact: true }).waitFor()
  await dialog.locator('.btn-done').first().click()
}

// tryList executes the operation that lists requests and waits for its answer.
async function tryList(page) {
  const path = '/api/v1/exchanges/{exchange_id}/requests'
  const operation = page.locator('.opblock-get').filter({ has: page.locator(`[data-path="${path}"]`) })
  const execute = operation.getByRole('button', { name: 'Execute' })
  await operation.locator('.opblock-summary-control').click()
  await operation.getByRole('button', { name: 'Try it out' }).or(execute).first().waitFor()
  if (!await execute.isVisible()) await operation.getByRole('button', { name: 'Try it out' }).click()
  await operation.locator('tr[data-param-name="exchange_id"] input').fill(exchange)
  await execute.click()
  const answer = operation.locator('.live-responses-table tbody tr').first()
  await answer.waitFor()
  const status = (await answer.locator('.response-col_status').innerText()).trim()
  if (!status.startsWith('200')) faults.push(`the list answered ${status}, want 200`)
  const body = await answer.locator('.response-col_description').innerText()
  if (!body.includes('"threads"')) faults.push(`the list answered no threads: ${body}`)
  await operation.scrollIntoViewIfNeeded()
}
