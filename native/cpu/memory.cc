#include "cpu/memory.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "plan/error.h"

namespace mistralrs {

Memory::Memory(int64_t bytes, const char* purpose) : bytes_(bytes) {
  if (bytes == 0) return;
  void* address = mmap(nullptr, static_cast<size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address == MAP_FAILED)
    throw Error("out_of_memory", format("%s: cannot map %lld bytes: %s", purpose, static_cast<long long>(bytes), std::strerror(errno)));
  data_ = static_cast<uint8_t*>(address);
#ifdef MADV_HUGEPAGE
  constexpr int64_t kHugePage = 2 << 20;
  if (bytes >= kHugePage) madvise(address, static_cast<size_t>(bytes), MADV_HUGEPAGE);  // refusal only costs speed
#endif
}

Memory::~Memory() {
  if (data_) munmap(data_, static_cast<size_t>(bytes_));
}

Memory::Memory(Memory&& other) noexcept : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Memory& Memory::operator=(Memory&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

}  // namespace mistralrs
