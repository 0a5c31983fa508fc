// Reads JavaScript values with strict types. Every function throws Error `invalid_argument` that names the argument; none runs
// JavaScript besides getters and proxies of the caller's own objects, whose exceptions become such errors too.
#pragma once
#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

#include "plan/error.h"

namespace mistralrs {

// A value and what to call it: "batch.tokens".
struct Argument {
  Napi::Value value;
  std::string name;

  bool isAbsent() const { return value.IsUndefined(); }
};

constexpr int64_t kMaxSafeInteger = (int64_t{1} << 53) - 1;

Argument property(const Argument& object, const char* key);
std::vector<Argument> elements(const Argument& array);

double toNumber(const Argument& argument);
int64_t toInteger(const Argument& argument, int64_t min, int64_t max);
bool toBoolean(const Argument& argument);
std::string toText(const Argument& argument);
// Copies; T is int32_t, uint32_t, uint8_t or float and stands for the typed array of that type.
template <typename T>
std::vector<T> toVector(const Argument& argument);

// An Error of JavaScript with `code`.
Napi::Error toJsError(Napi::Env env, const Error& error);
// The exception being handled, as an Error: `out_of_memory` or `internal` if it is none of ours.
Error currentError();

template <typename T>
Napi::Value toTypedArray(Napi::Env env, const std::vector<T>& values);

}  // namespace mistralrs
