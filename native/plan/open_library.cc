#include "plan/open_library.h"

#include <dlfcn.h>

#include <filesystem>

#include "plan/error.h"

namespace mistralrs {
namespace {

std::filesystem::path ownFolder() {
  Dl_info self;
  if (!dladdr(reinterpret_cast<void*>(&openLibrary), &self) || !self.dli_fname)
    throw Error("io", "cannot find the folder of the native module (dladdr)");
  std::error_code ignored;
  // For an executable dli_fname is argv[0], which need not be a path.
  std::filesystem::path file = std::filesystem::canonical(self.dli_fname, ignored);
  if (ignored) file = std::filesystem::canonical("/proc/self/exe", ignored);
  return file.parent_path();
}

}  // namespace

bool hasLibrary(const std::string& file) {
  std::error_code ignored;
  return std::filesystem::exists(ownFolder() / file, ignored);
}

void* openLibrary(const std::string& file, const char* symbol) {
  const std::string path = (ownFolder() / file).string();
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle) throw Error("io", format("%s: %s", path.c_str(), dlerror()));
  void* entry = dlsym(handle, symbol);
  if (!entry) throw Error("io", format("%s: no %s in it", path.c_str(), symbol));
  return entry;
}

}  // namespace mistralrs
