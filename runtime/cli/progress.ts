import cliProgress from 'cli-progress'

/** Waits shorter than this show nothing, on a terminal and in a log. */
const TERMINAL_DELAY_MS = 300
const LOG_DELAY_MS = 2000
/** A log gets a line each time this share more is done, or this time has passed. */
const LOG_SHARE = 0.25
const LOG_INTERVAL_MS = 15_000

/** Shows how far one wait after the other is, so that no long one is silent. */
export interface Progress {
  /** `unit`: what is counted; bytes are shown in MB. */
  update(label: string, done: number, total: number, unit: 'bytes' | 'items'): void
  /** Ends the bar that is showing, if any. */
  stop(): void
}

/** A bar on a terminal; elsewhere a line now and then. */
export function createProgress(stream: NodeJS.WriteStream, log: (line: string) => void): Progress {
  return stream.isTTY
    ? delayed(terminalProgress(stream), TERMINAL_DELAY_MS)
    : delayed(lineProgress(log), LOG_DELAY_MS)
}

/** Passes on what lasts longer than `delayMs`. */
function delayed(inner: Progress, delayMs: number): Progress {
  let current = ''
  let show = () => {}
  let timer: NodeJS.Timeout | undefined
  const stop = () => {
    clearTimeout(timer)
    timer = undefined
    current = ''
    inner.stop()
  }
  return {
    update(label, done, total, unit) {
      if (label !== current) {
        stop()
        current = label
        timer = setTimeout(() => {
          timer = undefined
          show()
        }, delayMs)
        timer.unref()
      }
      show = () => inner.update(label, done, total, unit)
      if (timer === undefined) show()
      else if (done >= total && total > 0) clearTimeout(timer)
    },
    stop,
  }
}

function terminalProgress(stream: NodeJS.WriteStream): Progress {
  let bar: cliProgress.SingleBar | undefined
  const stop = () => {
    bar?.stop()
    bar = undefined
  }
  return {
    update(label, done, total, unit) {
      if (bar === undefined) {
        bar = new cliProgress.SingleBar({
          stream,
          format: `${label} [{bar}] {percentage}% {shown} ETA {eta_formatted}`,
          hideCursor: true,
          barsize: 30,
        })
        bar.start(Math.max(total, 1), done, { shown: amount(done, total, unit) })
      }
      bar.setTotal(Math.max(total, 1))
      bar.update(done, { shown: amount(done, total, unit) })
    },
    stop,
  }
}

function lineProgress(log: (line: string) => void): Progress {
  let shownShare = -1
  let shownMs = 0
  return {
    update(label, done, total, unit) {
      const share = total > 0 ? done / total : 0
      const isMore = share >= shownShare + LOG_SHARE || (share >= 1 && shownShare < 1)
      if (shownShare >= 0 && !isMore && performance.now() - shownMs < LOG_INTERVAL_MS) return
      shownShare = share
      shownMs = performance.now()
      log(`${label}: ${Math.round(share * 100)} % (${amount(done, total, unit)})`)
    },
    stop() {
      shownShare = -1
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
