const days = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday']
const months = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
]

/**
 * C's `strftime` in the C locale, local time; glibc's `-` flag drops the padding.
 * Source: POSIX `strftime`.
 */
export function strftime(format: string, date: Date): string {
  return format.replace(/%([-_0]?)([a-zA-Z%])/g, (whole, flag: string, code: string) => {
    const value = field(code, date)
    if (value === undefined) return whole
    if (typeof value === 'string') return value
    if (flag === '-') return String(value.number)
    const fill = flag === '_' ? ' ' : flag === '0' ? '0' : value.fill
    return String(value.number).padStart(value.width, fill)
  })
}

type Field = string | { number: number; width: number; fill: string }

function field(code: string, date: Date): Field | undefined {
  const number = (value: number, width = 2, fill = '0') => ({ number: value, width, fill })
  const hour = date.getHours()
  const day = date.getDay()
  switch (code) {
    case 'Y':
      return number(date.getFullYear(), 1)
    case 'C':
      return number(Math.floor(date.getFullYear() / 100))
    case 'y':
      return number(date.getFullYear() % 100)
    case 'm':
      return number(date.getMonth() + 1)
    case 'd':
      return number(date.getDate())
    case 'e':
      return number(date.getDate(), 2, ' ')
    case 'H':
      return number(hour)
    case 'k':
      return number(hour, 2, ' ')
    case 'I':
      return number(hour % 12 || 12)
    case 'l':
      return number(hour % 12 || 12, 2, ' ')
    case 'M':
      return number(date.getMinutes())
    case 'S':
      return number(date.getSeconds())
    case 'f':
      return number(date.getMilliseconds() * 1000, 6)
    case 'j':
      return number(dayOfYear(date) + 1, 3)
    case 'p':
      return hour < 12 ? 'AM' : 'PM'
    case 'P':
      return hour < 12 ? 'am' : 'pm'
    case 'A':
      return days[day] ?? ''
    case 'a':
      return (days[day] ?? '').slice(0, 3)
    case 'B':
      return months[date.getMonth()] ?? ''
    case 'b':
    case 'h':
      return (months[date.getMonth()] ?? '').slice(0, 3)
    case 'w':
      return number(day, 1)
    case 'u':
      return number(day || 7, 1)
    case 'U':
      return number(Math.floor((dayOfYear(date) + 7 - day) / 7))
    case 'W':
      return number(Math.floor((dayOfYear(date) + 7 - ((day + 6) % 7)) / 7))
    case 's':
      return String(Math.floor(date.getTime() / 1000))
    case 'D':
    case 'x':
      return strftime('%m/%d/%y', date)
    case 'F':
      return strftime('%Y-%m-%d', date)
    case 'T':
    case 'X':
      return strftime('%H:%M:%S', date)
    case 'R':
      return strftime('%H:%M', date)
    case 'c':
      return strftime('%a %b %e %H:%M:%S %Y', date)
    case 'r':
      return strftime('%I:%M:%S %p', date)
    case 'z':
    case 'Z':
      // A naive datetime has no zone.
      return ''
    case 'n':
      return '\n'
    case 't':
      return '\t'
    case '%':
      return '%'
    default:
      return undefined
  }
}

/** From 0. */
function dayOfYear(date: Date): number {
  const midnight = Date.UTC(date.getFullYear(), date.getMonth(), date.getDate())
  return Math.round((midnight - Date.UTC(date.getFullYear(), 0, 1)) / 86_400_000)
}
