import cliProgress from 'cli-progress'

/** Lines of a log, not a bar, when nobody watches: one each time this share more is done. */
const LOG_STEP = 0.25

/** Shows how far one wait after the other is, so that no wait is silent. */
export interface Progress {
  /** `unit`: what is counted; bytes are shown in MB. */
  update(label: string, done: number, total: number, unit: 'bytes' | 'items'): void
  /** Ends the bar that is showing, if any. */
  stop(): void
}

/** A bar on a terminal; elsewhere a line now and then. */
export function createProgress(stream: NodeJS.WriteStream, log: (line: string) => void): Progress {
  return stream.isTTY ? terminalProgress(stream) : lineProgress(log)
}

function terminalProgress(stream: NodeJS.WriteStream): Progress {
  let bar: cliProgress.SingleBar | undefined
  let current = ''
  const stop = () => {
    bar?.stop()
    bar = undefined
    current = ''
  }
  return {
    update(label, done, total, unit) {
      if (label !== current) {
        stop()
        bar = new cliProgress.SingleBar({
          stream,
          format: `${label} [{bar}] {percentage}% {shown} ETA {eta_formatted}`,
          hideCursor: true,
          clearOnComplete: false,
          barsize: 30,
        })
        bar.start(Math.max(total, 1), 0, { shown: '' })
        current = label
      }
      bar?.setTotal(Math.max(total, 1))
      bar?.update(done, { shown: amount(done, total, unit) })
      if (done >= total && total > 0) stop()
    },
    stop,
  }
}

function lineProgress(log: (line: string) => void): Progress {
  let current = ''
  let shown = 0
  return {
    update(label, done, total, unit) {
      if (label !== current) {
        current = label
        shown = 0
      }
      const share = total > 0 ? done / total : 0
      if (share < shown + LOG_STEP && share < 1) return
      if (shown >= 1) return
      shown = share
      log(`${label}: ${Math.round(share * 100)} % (${amount(done, total, unit)})`)
    },
    stop() {
      current = ''
    },
  }
}

function amount(done: number, total: number, unit: 'bytes' | 'items'): string {
  if (unit === 'items') return `${done}/${total}`
  return `${megabytes(done)}/${megabytes(total)} MB`
}

function megabytes(bytes: number): string {
  return (bytes / 1e6).toFixed(1)
}
