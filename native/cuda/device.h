// The device as the backend's host code uses it: one stream, memory that frees itself, errors as exceptions.
#pragma once
#include <cstdint>
#include <utility>

#include "cuda/kernels.h"

namespace mistralrs::cuda {

class Device {
 public:
  // Opens the first device. Throws Error as openKernels and `check` do.
  Device();
  explicit Device(const CudaKernelTable& kernels);
  ~Device();
  Device(const Device&) = delete;
  Device& operator=(const Device&) = delete;

  const CudaKernelTable& kernels() const { return kernels_; }
  const CudaDeviceInfo& info() const { return info_; }
  void* stream() const { return stream_; }
  // Whether linearLarge runs on it.
  bool hasLarge() const { return hasLarge_; }

  // Throws Error that names what failed, unless `error` is 0: `device_lost` when nothing on the device can be trusted any more,
  // else `internal`.
  void check(int32_t error, const char* what) const;
  void copy(void* to, const void* from, int64_t bytes) const { check(kernels_.copy(to, from, bytes, stream_), "copy"); }
  void fill(void* memory, int byte, int64_t bytes) const { check(kernels_.fill(memory, byte, bytes, stream_), "fill"); }
  // Waits for all that was started; errors of kernels show here.
  void synchronize() const { check(kernels_.synchronize(stream_), "running kernels"); }

 private:
  const CudaKernelTable& kernels_;
  CudaDeviceInfo info_{};
  void* stream_ = nullptr;
  bool hasLarge_ = false;
};

// Device memory, or pinned host memory. Throws Error `out_of_memory` that says what for, or `device_lost`.
class DeviceMemory {
 public:
  enum Kind { kDevice, kPinned };
  DeviceMemory() = default;
  DeviceMemory(const Device& device, int64_t bytes, const char* what, Kind kind = kDevice);
  DeviceMemory(DeviceMemory&& other) noexcept { *this = std::move(other); }
  DeviceMemory& operator=(DeviceMemory&& other) noexcept;
  ~DeviceMemory();

  uint8_t* data() const { return data_; }
  float* floats() const { return reinterpret_cast<float*>(data_); }
  int64_t bytes() const { return bytes_; }

 private:
  const CudaKernelTable* kernels_ = nullptr;
  Kind kind_ = kDevice;
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
};

}  // namespace mistralrs::cuda
