import { InvalidArgumentError } from 'commander'

/** Parser of a repeatable option that names a container. */
export function collectUpstream(text: string, previous: string[]): string[] {
  const url = URL.parse(text)
  if (url === null || !['http:', 'https:'].includes(url.protocol) || url.search || url.hash) {
    throw new InvalidArgumentError('It must be a URL like https://gpu-0:8443.')
  }
  // They would go nowhere but into the log.
  if (url.username || url.password) {
    throw new InvalidArgumentError('It takes no user and password: see --secret-file.')
  }
  const bare = url.href.replace(/\/+$/, '')
  // Twice the same would get twice the share.
  return previous.includes(bare) ? previous : [...previous, bare]
}
