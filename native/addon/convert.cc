#include "addon/convert.h"

#include <cmath>
#include <cstring>
#include <exception>
#include <new>

namespace mistralrs {
namespace {

template <typename T>
constexpr napi_typedarray_type kArrayType = napi_int32_array;
template <>
constexpr napi_typedarray_type kArrayType<uint32_t> = napi_uint32_array;
template <>
constexpr napi_typedarray_type kArrayType<uint8_t> = napi_uint8_array;
template <>
constexpr napi_typedarray_type kArrayType<float> = napi_float32_array;

template <typename T>
constexpr const char* kArrayName = "Int32Array";
template <>
constexpr const char* kArrayName<uint32_t> = "Uint32Array";
template <>
constexpr const char* kArrayName<uint8_t> = "Uint8Array";
template <>
constexpr const char* kArrayName<float> = "Float32Array";

const char* kindOf(const Napi::Value& value) {
  if (value.IsNull()) return "null";
  if (value.IsTypedArray()) return "another typed array";
  if (value.IsArray()) return "an array";
  switch (value.Type()) {
    case napi_undefined: return "undefined";
    case napi_boolean: return "a boolean";
    case napi_number: return "a number";
    case napi_string: return "a string";
    case napi_symbol: return "a symbol";
    case napi_bigint: return "a bigint";
    case napi_function: return "a function";
    default: return "an object";
  }
}

[[noreturn]] void refuse(const Argument& argument, const char* wanted) {
  throw Error("invalid_argument", format("%s is %s: must be %s", argument.name.c_str(), kindOf(argument.value), wanted));
}

template <typename Read>
auto reading(const std::string& name, Read read) {
  try {
    return read();
  } catch (const Napi::Error&) {
    throw Error("invalid_argument", format("%s cannot be read: it threw", name.c_str()));
  }
}

}  // namespace

Argument property(const Argument& object, const char* key) {
  if (!object.value.IsObject()) refuse(object, "an object");
  const std::string name = object.name + "." + key;
  return {reading(name, [&] { return object.value.As<Napi::Object>().Get(key); }), name};
}

std::vector<Argument> elements(const Argument& array) {
  if (!array.value.IsArray()) refuse(array, "an array");
  const Napi::Array values = array.value.As<Napi::Array>();
  std::vector<Argument> result;
  for (uint32_t i = 0; i < values.Length(); ++i) {
    const std::string name = format("%s[%u]", array.name.c_str(), i);
    result.push_back({reading(name, [&] { return values.Get(i); }), name});
  }
  return result;
}

double toNumber(const Argument& argument) {
  if (!argument.value.IsNumber()) refuse(argument, "a number");
  return argument.value.As<Napi::Number>().DoubleValue();
}

int64_t toInteger(const Argument& argument, int64_t min, int64_t max) {
  const double value = toNumber(argument);
  if (!(value >= static_cast<double>(min) && value <= static_cast<double>(max)) || value != std::floor(value))
    throw Error("invalid_argument", format("%s is %.17g: must be an integer in %lld..%lld", argument.name.c_str(), value,
                                           static_cast<long long>(min), static_cast<long long>(max)));
  return static_cast<int64_t>(value);
}

bool toBoolean(const Argument& argument) {
  if (!argument.value.IsBoolean()) refuse(argument, "a boolean");
  return argument.value.As<Napi::Boolean>().Value();
}

std::string toText(const Argument& argument) {
  if (!argument.value.IsString()) refuse(argument, "a string");
  return argument.value.As<Napi::String>().Utf8Value();
}

template <typename T>
std::vector<T> toVector(const Argument& argument) {
  const std::string wanted = std::string("a") + (kArrayName<T>[0] == 'I' ? "n " : " ") + kArrayName<T>;
  if (!argument.value.IsTypedArray()) refuse(argument, wanted.c_str());
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  // A detached array has length 0.
  if (napi_get_typedarray_info(argument.value.Env(), argument.value, &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != kArrayType<T>)
    refuse(argument, wanted.c_str());
  std::vector<T> result(length);
  if (length > 0) std::memcpy(result.data(), data, length * sizeof(T));
  return result;
}

template std::vector<int32_t> toVector(const Argument&);
template std::vector<uint32_t> toVector(const Argument&);
template std::vector<uint8_t> toVector(const Argument&);
template std::vector<float> toVector(const Argument&);

Napi::Error toJsError(Napi::Env env, const Error& error) {
  Napi::Error result = Napi::Error::New(env, error.message);
  result.Set("code", Napi::String::New(env, error.code));
  return result;
}

Error currentError() {
  try {
    throw;
  } catch (const Error& error) {
    return error;
  } catch (const std::bad_alloc&) {
    return Error("out_of_memory", "the system has no memory left");
  } catch (const std::exception& error) {
    return Error("internal", error.what());
  } catch (...) {
    return Error("internal", "an unknown exception");
  }
}

template <typename T>
Napi::Value toTypedArray(Napi::Env env, const std::vector<T>& values) {
  auto array = Napi::TypedArrayOf<T>::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(T));
  return array;
}

template Napi::Value toTypedArray(Napi::Env, const std::vector<int32_t>&);
template Napi::Value toTypedArray(Napi::Env, const std::vector<float>&);

}  // namespace mistralrs
