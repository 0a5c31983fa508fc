#include "addon/cpu_info.h"

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mistralrs {

std::string cpuBrand() {
#if defined(__x86_64__)
  uint32_t words[12];  // CPUID leaves 0x80000002 to 0x80000004, 16 characters each
  bool known = true;
  for (uint32_t i = 0; i < 3; ++i) {
    uint32_t* w = words + 4 * i;
    known = known && __get_cpuid(0x80000002 + i, &w[0], &w[1], &w[2], &w[3]);
  }
  char text[sizeof words + 1] = {};
  if (known) std::memcpy(text, words, sizeof words);
  const std::string padded = text;
  const size_t begin = padded.find_first_not_of(' ');
  if (begin != std::string::npos) return padded.substr(begin, padded.find_last_not_of(' ') - begin + 1);
#endif
  return "unknown";
}

}  // namespace mistralrs
