// Compares embed.hpp with the golden vectors. `./check [FOLDER]`; exits with 1 where they differ.
//
// The token ids are those of the golden file: a C++ program needs a reader of tokenizer.json of its own.

#include <cmath>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>

#include "embed.hpp"

using nlohmann::json;

static json read_json(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw std::runtime_error(path + " cannot be read");
  return json::parse(file);
}

/// Whether rows are the expected ones, within the golden file's tolerance; prints how near they are.
static bool compare(const std::string& name, const Rows& rows, const json& golden) {
  double least = 1, most = 0;
  bool same = rows.size() == golden["chips"].size();
  for (size_t i = 0; same && i < rows.size(); i++) {
    const auto expected = golden["chips"][i][name].get<std::vector<float>>();
    same = expected.size() == rows[i].size();
    const double norms = std::sqrt(cosine(rows[i], rows[i]) * cosine(expected, expected));
    least = std::min(least, cosine(rows[i], expected) / norms);
    for (size_t j = 0; same && j < expected.size(); j++) {
      const double far = std::abs(double(rows[i][j]) - expected[j]);
      most = std::max(most, far);
      same = far <= golden["tolerance"]["absolute"].get<double>();
    }
  }
  std::cout << name << ": least cosine " << least << ", largest difference " << most << "\n";
  return same && least >= golden["tolerance"]["cosine"].get<double>();
}

int main(int argc, char** argv) try {
  const std::string folder = argc > 1 ? argv[1] : "../golden";
  const json golden = read_json(folder + "/golden.json");
  const int64_t size = read_json(folder + "/bundle/bundle.json")["arch"]["preprocessing"]["size"];
  const int64_t pad = read_json(folder + "/bundle/tokenizer.json")["padding"]["pad_id"];

  Ort::Env env;
  Tower image(env, folder + "/bundle/image.onnx", "image", "image_embeds");
  Tower metadata(env, folder + "/bundle/metadata.onnx", "input_ids", "metadata_embeds");
  std::vector<std::vector<uint8_t>> pictures;
  std::vector<std::vector<int64_t>> captions;
  for (const auto& chip : golden["chips"]) {
    pictures.push_back(read_png(folder + "/" + chip["file"].get<std::string>(), size));
    captions.push_back(chip["ids"].get<std::vector<int64_t>>());
  }
  const Rows images = embed_images(image, pictures, size);
  const Rows records = embed_ids(metadata, captions, pad);

  bool same = compare("image_embeds", images, golden);
  same = compare("metadata_embeds", records, golden) && same;
  double most = 0;
  for (size_t i = 0; i < images.size(); i++) {
    for (size_t j = 0; j < records.size(); j++) {
      const double far = std::abs(cosine(images[i], records[j]) - golden["cosines"][i][j].get<double>());
      most = std::max(most, far);
      same = same && far <= golden["tolerance"]["absolute"].get<double>();
    }
  }
  std::cout << "cosines: largest difference " << most << "\n";
  return same ? 0 : 1;
} catch (const std::exception& error) {
  std::cerr << error.what() << "\n";
  return 1;
}
