#include "cuda/device.h"

#include <utility>

#include "cuda/kernel_library.h"
#include "plan/error.h"

namespace mistralrs::cuda {
namespace {

const char* codeOf(const CudaKernelTable& kernels, int32_t error, const char* otherwise) {
  return kernels.isFatal(error) ? "device_lost" : otherwise;
}

}  // namespace

Device::Device() : Device(openKernels()) {}

Device::Device(const CudaKernelTable& kernels) : kernels_(kernels) {
  check(kernels_.deviceInfo(0, &info_), "asking for the device");
  check(kernels_.setDevice(0), "choosing the device");
  check(kernels_.createStream(&stream_), "making a stream");
  hasLarge_ = kernels_.hasLarge() != 0;
}

Device::~Device() { kernels_.destroyStream(stream_); }

void Device::check(int32_t error, const char* what) const {
  if (error) throw Error(codeOf(kernels_, error, "internal"), format("cuda, %s: %s", what, kernels_.errorText(error)));
}

DeviceMemory::DeviceMemory(const Device& device, int64_t bytes, const char* what, Kind kind)
    : kernels_(&device.kernels()), kind_(kind), bytes_(bytes) {
  if (bytes == 0) return;
  void* memory = nullptr;
  const int32_t error = kind == kPinned ? kernels_->allocatePinned(&memory, bytes) : kernels_->allocate(&memory, bytes);
  if (error)
    throw Error(codeOf(*kernels_, error, "out_of_memory"), format("%s: %lld bytes of %s memory: %s", what, static_cast<long long>(bytes),
                                        kind == kPinned ? "pinned host" : "device", kernels_->errorText(error)));
  data_ = static_cast<uint8_t*>(memory);
}

DeviceMemory& DeviceMemory::operator=(DeviceMemory&& other) noexcept {
  std::swap(kernels_, other.kernels_);
  std::swap(kind_, other.kind_);
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

DeviceMemory::~DeviceMemory() {
  if (!data_) return;
  if (kind_ == kPinned) kernels_->releasePinned(data_);
  else kernels_->release(data_);
}

}  // namespace mistralrs::cuda
