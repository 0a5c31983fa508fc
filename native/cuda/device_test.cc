#include "cuda/device.h"

#include "testing/testing.h"

using namespace mistralrs;
using namespace mistralrs::cuda;

namespace {

enum { kNone = 0, kPassing = 1, kFatal = 2 };
int32_t outcome = kNone;  // of what the fake device does next

// A device of which only the calls of device.cc are there.
const CudaKernelTable& fakeKernels() {
  static const CudaKernelTable table = [] {
    CudaKernelTable t{};
    t.errorText = [](int32_t error) { return error == kFatal ? "illegal address" : "wrong argument"; };
    t.isFatal = [](int32_t error) { return int32_t{error == kFatal}; };
    t.deviceInfo = [](int32_t, CudaDeviceInfo*) { return outcome; };
    t.setDevice = [](int32_t) { return outcome; };
    t.createStream = [](void**) { return outcome; };
    t.destroyStream = [](void*) { return outcome; };
    t.hasLarge = [] { return int32_t{0}; };
    t.synchronize = [](void*) { return outcome; };
    t.allocate = [](void**, int64_t) { return outcome; };
    return t;
  }();
  return table;
}

}  // namespace

TEST(device_tells_errors_that_pass_from_those_that_stay) {
  outcome = kNone;
  const Device device(fakeKernels());
  device.synchronize();
  outcome = kPassing;
  CHECK_ERROR("internal", "running kernels: wrong argument", device.synchronize());
  CHECK_ERROR("out_of_memory", "weights: 8 bytes", DeviceMemory(device, 8, "weights"));
  outcome = kFatal;
  CHECK_ERROR("device_lost", "running kernels: illegal address", device.synchronize());
  CHECK_ERROR("device_lost", "weights: 8 bytes", DeviceMemory(device, 8, "weights"));
  CHECK_ERROR("device_lost", "asking for the device", Device another(fakeKernels()));
}
