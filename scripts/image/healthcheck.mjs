// Exits with 0 when a server in this container answers. Without arguments that is the one on a default port, `serve` and
// `edge` on 1234, `container` on 8443, as soon as it listens; with a URL (of /ready, say) that one.
const urls = process.argv.slice(2)
if (urls.length === 0) urls.push('http://127.0.0.1:1234/health', 'http://127.0.0.1:8443/health')

const answers = urls.map(async url => {
  const { ok, status } = await fetch(url, { signal: AbortSignal.timeout(2000) })
  if (!ok) throw new Error(`${url} answered ${status}`)
})
await Promise.any(answers).catch(({ errors }) => {
  for (const { message, cause } of errors) console.error(cause?.message ?? message)
  process.exitCode = 1
})
