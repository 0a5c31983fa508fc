#include "cpu/kernel_library.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "plan/error.h"
#include "plan/open_library.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace mistralrs {
namespace {

#if defined(__x86_64__)

// Register sets the operating system saves (XCR0); reading it with xgetbv needs OSXSAVE.
uint64_t savedState() {
  uint32_t low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return uint64_t{high} << 32 | low;
}

bool has(uint32_t word, std::initializer_list<int> bits) {
  return std::all_of(bits.begin(), bits.end(), [&](int bit) { return (word >> bit & 1) != 0; });
}

// Bit numbers: Intel SDM volume 2, CPUID leaves 1 and 7.
std::vector<std::string> detectIsas() {
  std::vector<std::string> isas{"generic"};
  uint32_t a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !has(c, {12 /*fma*/, 27 /*osxsave*/, 28 /*avx*/, 29 /*f16c*/})) return isas;
  const uint64_t state = savedState();
  if ((state & 0x6) != 0x6 || !__get_cpuid_count(7, 0, &a, &b, &c, &d) || !has(b, {5 /*avx2*/})) return isas;
  isas.insert(isas.begin(), "avx2");
  const bool avx512 = has(b, {16 /*f*/, 17 /*dq*/, 30 /*bw*/, 31 /*vl*/}) && has(c, {11 /*vnni*/});
  if (avx512 && (state & 0xe6) == 0xe6) isas.insert(isas.begin(), "avx512");
  return isas;
}

#else

std::vector<std::string> detectIsas() { return {"generic"}; }

#endif

}  // namespace

// What is static here is never destroyed: a thread may still load a model when the process destroys what it can.

std::vector<std::string> availableIsas() {
  static const auto& isas = *new std::vector<std::string>(detectIsas());
  return isas;
}

const KernelTable& openKernels(const std::string& wanted) {
  const std::vector<std::string> isas = availableIsas();
  const std::string isa = wanted.empty() ? isas.front() : wanted;
  if (std::find(isas.begin(), isas.end(), isa) == isas.end()) {
    std::string list;
    for (const std::string& name : isas) list += (list.empty() ? "" : ", ") + name;
    throw Error("invalid_argument", format("isa %s: this machine runs %s", isa.c_str(), list.c_str()));
  }
  static std::mutex mutex;
  static auto& open = *new std::map<std::string, const KernelTable*>;
  const std::lock_guard lock(mutex);
  const KernelTable*& table = open[isa];
  if (!table) {
    table = reinterpret_cast<KernelTableFn>(openLibrary("mistralrs_cpu_" + isa + ".so", "mistralrs_cpu_kernels"))();
  }
  return *table;
}

}  // namespace mistralrs
