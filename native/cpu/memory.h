// Anonymous memory straight from the kernel: zero until touched, page-aligned, on huge pages where the system has them
// (decoding streams all weights each step; with 4 KB pages the TLB misses show).
#pragma once
#include <cstdint>

namespace mistralrs {

class Memory {
 public:
  Memory() = default;
  // Throws Error `out_of_memory`, naming `purpose`.
  Memory(int64_t bytes, const char* purpose);
  ~Memory();
  Memory(Memory&& other) noexcept;
  Memory& operator=(Memory&& other) noexcept;

  uint8_t* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  int64_t bytes() const { return bytes_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace mistralrs
