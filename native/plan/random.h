// Random numbers without state: Philox4x32-10, a block cipher over a counter (Salmon et al., "Parallel random numbers: as
// easy as 1, 2, 3", SC 2011), so that a draw depends on what it is for and on nothing drawn before.
#pragma once
#include <array>
#include <cstdint>

namespace mistralrs {

constexpr std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0], b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

// The number in [0, 1) that draws the token at `position` of choice `choice` of a request with `seed`; 53 random bits.
constexpr double uniform(uint64_t seed, uint32_t choice, uint32_t position) {
  const auto bits = philox({choice, position, 0, 0}, {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  return static_cast<double>((uint64_t{bits[0]} << 32 | bits[1]) >> 11) * 0x1p-53;
}

}  // namespace mistralrs
